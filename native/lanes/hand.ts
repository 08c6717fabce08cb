/**
 * What each actor has in hand, in shared memory: the input lane and the position of the record whose step runs. Whoever finds
 * the actor dead reads here which message it died of, whatever killed the thread: an exception, the end of its
 * memory, a loop that never came back.
 *
 * A death makes the record in hand a suspect. Its next reader takes it up once more, ahead of all others of its lane; if
 * it kills again, it is poison.
 */
import type { StepSpan } from './lane.ts';

const INPUT = 0;
const POSITION = 1;
const SUSPECT_INPUT = 2;
const SUSPECT_POSITION = 3;
const DEATHS = 4;
const SPAN = 5;
/** Two cache lines an actor. */
const STRIDE = 32;

/** Deaths by one message after which it is poison. */
const POISON_DEATHS = 2;

export const handsBytes = (actors: number): number => actors * STRIDE * 4;

/** A record by which an actor died: the index of the actor that sent it, and where it stands in that lane. */
export type Suspect = { readonly from: number; readonly position: number };

export class Hand {
  private readonly words: Int32Array;

  constructor(memory: SharedArrayBuffer, actor: number) {
    this.words = new Int32Array(memory, actor * STRIDE * 4, STRIDE);
  }

  /** Before the step. Plain stores: they are read by the same thread, or after the thread has ended. */
  take(from: number, position: number): void {
    this.words[INPUT] = from + 1;
    this.words[POSITION] = position;
  }

  /** The step begins: what it writes carries this span. */
  step(span0: number, span1: number): void {
    this.words[SPAN] = span0;
    this.words[SPAN + 1] = span1;
  }

  /** The span of the last step that began. */
  span(): StepSpan {
    return { span0: this.words[SPAN]!, span1: this.words[SPAN + 1]! };
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
    return { from, position, poison: words[DEATHS]! >= POISON_DEATHS };
  }

  /** The suspect has been dealt with otherwise. */
  clear(): void {
    this.words[DEATHS] = 0;
  }

  private holdsSuspect(): boolean {
    const { words } = this;
    return words[INPUT] === words[SUSPECT_INPUT] && words[POSITION] === words[SUSPECT_POSITION];
  }
}
