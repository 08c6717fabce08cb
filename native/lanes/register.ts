/**
 * The register of lives: for every actor its state and incarnation, in shared memory. The supervisor writes it, every thread
 * reads it; a thread writes only of an actor of its own whose restart it has been granted beforehand. It is how a termination reaches those who watch: not as a message that could be lost or stand behind
 * others, but as a level that everybody sees at the next pass, ahead of all data.
 */
const EPOCH = 0;
const FIRST = 32;

/** down: its next incarnation is on the way. gone: there will be none. */
export type Life = 'down' | 'up' | 'gone';
const LIVES: readonly Life[] = ['down', 'up', 'gone'];
/** It has begun to start and does not serve yet: others see it as down, but what it sends already counts as a life. */
const OPENING = 3;

export type Register = {
  /** Grows with every change. */
  epoch(): number;
  incarnation(actor: number): number;
  life(actor: number): Life;
  /** The incarnation ends: 'down' or 'gone'. */
  end(actor: number, life: 'down' | 'gone'): void;
  /** The next incarnation starts: should it die before it serves, it was a life all the same. */
  open(actor: number): void;
  /** The next incarnation serves. */
  begin(actor: number): void;
  /** Its supervisor says beforehand that its thread may restart it once by itself, or takes that back. */
  grant(actor: number, may: boolean): void;
  /** Uses the grant; false when there is none. */
  claim(actor: number): boolean;
  /** Something else has changed that everybody looks at when the register has moved. */
  stir(): void;
};

/** Words of an actor: incarnation, life, grant. */
const WORDS = 3;
export const registerBytes = (actors: number): number => (FIRST + WORDS * actors) * 4;

export const openRegister = (memory: SharedArrayBuffer): Register => {
  const words = new Int32Array(memory);
  const place = (actor: number): number => FIRST + WORDS * actor;
  return {
    epoch: () => Atomics.load(words, EPOCH),
    incarnation: (actor) => Atomics.load(words, place(actor)),
    life: (actor) => LIVES[Atomics.load(words, place(actor) + 1)] ?? 'down',
    end: (actor, life) => {
      Atomics.store(words, place(actor) + 2, 0);
      const was = Atomics.exchange(words, place(actor) + 1, LIVES.indexOf(life));
      if (was === LIVES.indexOf('up') || was === OPENING) Atomics.add(words, place(actor), 1);
      Atomics.add(words, EPOCH, 1);
    },
    open: (actor) => {
      Atomics.store(words, place(actor) + 1, OPENING);
    },
    begin: (actor) => {
      Atomics.store(words, place(actor) + 1, LIVES.indexOf('up'));
      Atomics.add(words, EPOCH, 1);
    },
    grant: (actor, may) => {
      Atomics.store(words, place(actor) + 2, may ? 1 : 0);
    },
    claim: (actor) => Atomics.compareExchange(words, place(actor) + 2, 1, 0) === 1,
    stir: () => {
      Atomics.add(words, EPOCH, 1);
    },
  };
};
