/**
 * What each actor has in hand, in shared memory: the input lane and the position of the record whose step runs. Whoever finds
 * the actor dead reads here which message it died of, whatever killed the thread: an exception, the end of its
 * memory, a loop that never came back.
 *
 * A death makes the record in hand a suspect. Its next reader takes it up once more, ahead of all others of its lane; if
 * it kills again, it is poison. A delivery is known by its number instead: it comes again from its sender, elsewhere.
 */
import type { StepSpan } from './lane.ts';

const INPUT = 0;
const POSITION = 1;
const SUSPECT_INPUT = 2;
const SUSPECT_POSITION = 3;
const DEATHS = 4;
const SPAN = 5;
const BROKEN = 7;
/** As 64-bit numbers. */
const DELIVERY = 4;
const SUSPECT_DELIVERY = 5;
/** Two cache lines an actor. */
const STRIDE = 32;

/** Deaths by one message after which it is poison. */
const POISON_DEATHS = 2;

export const handsBytes = (actors: number): number => actors * STRIDE * 4;

/** A record by which an actor died: the index of the actor that sent it, and where it stands in that lane. */
export type Suspect = {
  readonly from: number;
  readonly position: number;
  /** Its number as a delivery; 0 = it is none. */
  readonly delivery: number;
};

export class Hand {
  private readonly words: Int32Array;
  private readonly numbers: Float64Array;

  constructor(memory: SharedArrayBuffer, actor: number) {
    this.words = new Int32Array(memory, actor * STRIDE * 4, STRIDE);
    this.numbers = new Float64Array(memory, actor * STRIDE * 4, STRIDE / 2);
  }

  /** Before the step. Plain stores: they are read by the same thread, or after the thread has ended. */
  take(from: number, position: number): void {
    this.words[INPUT] = from + 1;
    this.words[POSITION] = position;
    this.numbers[DELIVERY] = 0;
  }

  /** What it has in hand is the delivery of this number. */
  delivers(n: number): void {
    this.numbers[DELIVERY] = n;
  }

  /** The step begins: what it writes carries this span. */
  step(span0: number, span1: number): void {
    this.words[SPAN] = span0;
    this.words[SPAN + 1] = span1;
  }

  /** For the next incarnation, once: the span of the step that the last one died in. */
  broken(): StepSpan | undefined {
    const { words } = this;
    if (words[BROKEN] === 0) return undefined;
    words[BROKEN] = 0;
    return { span0: words[SPAN]!, span1: words[SPAN + 1]! };
  }

  /** The step has come to its end: whatever kills the actor now, this message did not. */
  done(): void {
    const { words } = this;
    if (words[DEATHS] !== 0 && this.holdsSuspect()) words[DEATHS] = 0;
    words[INPUT] = 0;
  }

  /**
   * The actor died of what it has in hand; false when it has nothing. `counts`: false where the message is not at fault and may
   * be tried for as long as it takes.
   */
  blame(counts = true): boolean {
    const { words } = this;
    if (words[INPUT] === 0) return false;
    words[DEATHS] = counts && this.holdsSuspect() ? words[DEATHS]! + 1 : 1;
    words[SUSPECT_INPUT] = words[INPUT]!;
    words[SUSPECT_POSITION] = words[POSITION]!;
    this.numbers[SUSPECT_DELIVERY] = this.numbers[DELIVERY]!;
    words[BROKEN] = 1;
    words[INPUT] = 0;
    return true;
  }

  /** The actor was killed from outside: what it had in hand is lost and under no suspicion. */
  acquit(): void {
    this.done();
  }

  /** For the next incarnation: what the last one died of. poison: it is not to be handled again. */
  suspect(): (Suspect & { readonly poison: boolean }) | undefined {
    const { words } = this;
    if (words[DEATHS] === 0) return undefined;
    const [from, position] = [words[SUSPECT_INPUT]! - 1, words[SUSPECT_POSITION]!];
    const delivery = this.numbers[SUSPECT_DELIVERY]!;
    return { from, position, delivery, poison: words[DEATHS]! >= POISON_DEATHS };
  }

  /** That delivery has killed twice. It stays so until another message is under suspicion: it may come again and again. */
  isPoison(from: number, n: number): boolean {
    const suspect = this.suspect();
    return suspect?.poison === true && suspect.from === from && suspect.delivery === n;
  }

  /** The suspect has been dealt with otherwise. */
  clear(): void {
    this.words[DEATHS] = 0;
    this.words[BROKEN] = 0;
  }

  private holdsSuspect(): boolean {
    const { words, numbers } = this;
    if (words[INPUT] !== words[SUSPECT_INPUT]) return false;
    if (numbers[DELIVERY] !== numbers[SUSPECT_DELIVERY]) return false;
    return numbers[DELIVERY] !== 0 || words[POSITION] === words[SUSPECT_POSITION];
  }
}
