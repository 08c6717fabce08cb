/** Dispatch of one validator on a real chain store and a bus that a test holds in its hands. */
import { config } from '#actors/dispatch/config.ts';
import { dispatchCore } from '#actors/dispatch/core.ts';
import { io } from '#actors/dispatch/io.ts';
import type { Commands, Self, State } from '#actors/dispatch/state.ts';
import { crypto } from '#native/crypto.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { IoAdapter } from '#runtime/actor.ts';
import { testGenesis } from './chain-genesis.ts';
import { type Asked, coreDriver, type Driver, drained, type Hands } from './core-driver.ts';
import { type ExecutorHost, portOf } from './executor-host.ts';
import { type Desk, deskAt, type TestBus } from './test-bus.ts';

export type DispatchHost = {
  readonly state: State;
  /** What went in and out, as lines. */
  readonly transcript: string[];
  /** Looks at the chain and the bus again and works until nothing is left to do now. */
  readonly work: () => void;
  readonly advance: (ms: number) => void;
  readonly close: () => void;
};

type Read = { readonly message: Asked; readonly resume: Asked };
type World = {
  readonly chain: ExecutorHost;
  readonly desk: Desk;
  readonly adapter: IoAdapter<Commands>;
  readonly driver: () => Driver<Self>;
  readonly transcript: string[];
  /** The long poll of the chain that waits. */
  read: Read | undefined;
};

const run = ({ adapter }: World, name: string, argument: unknown): void => {
  const command = adapter.commands[name as keyof Commands] as (argument: unknown) => void;
  command(argument);
};

const question = (world: World, message: Asked, resume: Asked): void => {
  if (world.desk.ask(message, resume)) return;
  const height = Number(world.chain.ask({ kind: 'head' })?.height);
  if (message.kind === 'read' && Number(message.fromHeight) > height) {
    world.read = { message, resume };
  } else world.driver().answer(resume, world.chain.ask(message));
};

const handsOf = (world: World): Hands => ({
  ask: (message, resume) => question(world, message, resume),
  io: (name, argument) => run(world, name, argument),
  trace: (line) => world.transcript.push(line),
});

/** `keyFile` is the absolute path of the validator's key; with `signatures` it verifies. */
export const dispatchHost = async (
  name: string,
  keyFile: string,
  dataDir: string,
  chain: ExecutorHost,
  bus: TestBus,
  startMs: number,
  signatures: Crypto = crypto,
): Promise<DispatchHost> => {
  const inbox: Self[] = [];
  const settings = config.parse({ name, key: keyFile });
  const adapter = await io(settings, portOf(dataDir, testGenesis(), inbox));
  const core = dispatchCore(signatures);
  const state = core.init(settings);
  const desk = deskAt(bus, () => driver);
  const transcript: string[] = [];
  const world: World = { chain, desk, adapter, transcript, driver: () => driver, read: undefined };
  const driver: Driver<Self> = coreDriver(core, state, handsOf(world), startMs);
  const work = (): void => {
    desk.serve();
    const { read } = world;
    world.read = undefined;
    if (read !== undefined) question(world, read.message, read.resume);
    do {
      driver.settle();
      for (const message of inbox.splice(0)) driver.deliver(message);
      driver.settle();
    } while (inbox.length > 0);
  };
  work();
  return {
    state,
    transcript,
    work,
    advance: (ms) => driver.advance(ms, work),
    close: () => {
      for (const one of drained(core, state, driver.nowMs)) {
        if (one.effect === 'io') run(world, String(one.command), one.argument);
      }
      void adapter.close?.();
    },
  };
};
