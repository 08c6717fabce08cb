/** The brake in the world: the panic file of the node, whoever writes it, and the switch in the topology. */
import type { IoAdapter, IoPort } from '#runtime/actor.ts';
import { readApprovals } from './approvals.ts';
import type { Brake, Fault } from './backend.ts';
import type { EnforcerConfig } from './config.ts';
import type { Self } from './core.ts';
import { audit, endPanic, readPanic, startPanic } from './panic.ts';
import type { Commands, Handled, Pull } from './state.ts';

const IN_TOPOLOGY: Brake = {
  ...{ code: 'kill-switch', reason: 'killSwitch is set in the topology' },
  ...{ by: 'topology', sinceMs: null, untilMs: null },
};

/** Why nothing is enforced, asked anew before every write. */
export const brakeOf = (
  config: Pick<EnforcerConfig, 'killSwitch'>,
  port: Pick<IoPort<Self>, 'node' | 'now'>,
): (() => Brake | undefined) => {
  if (config.killSwitch) return () => IN_TOPOLOGY;
  return () => {
    const panic = readPanic(port.node.dataDir, port.now());
    if (panic === undefined) return undefined;
    const { by, atMs } = panic;
    const isBounded = Number.isFinite(panic.untilMs);
    const until = isBounded
      ? `until ${new Date(panic.untilMs).toISOString()}`
      : 'until somebody ends it';
    return {
      code: 'panic',
      reason: `panic by ${by} ${until}: ${panic.reason}`,
      by,
      sinceMs: isBounded ? atMs : null,
      untilMs: isBounded ? panic.untilMs : null,
    };
  };
};

type Done = Omit<Handled, 'replyTo'>;

const STILL_THERE =
  'the brake is pulled, but what is in force is not taken away yet; the agent goes on trying';

const failure = (fault: unknown): Done => {
  const why = fault instanceof Error ? fault.message : String(fault);
  return { outcome: 'failed', text: `the panic file cannot be written: ${why}` };
};

/** Written down before anything else; then everything of ours goes, now and not at the next look. */
const pullBrake = async (
  { lastsMs, by, reason }: Omit<Pull, 'replyTo'>,
  config: Pick<EnforcerConfig, 'backend'>,
  port: Pick<IoPort<Self>, 'node' | 'now' | 'path'>,
  clear: () => Promise<Fault | undefined>,
): Promise<Done> => {
  const atMs = port.now();
  const { dataDir } = port.node;
  try {
    startPanic(dataDir, { atMs, untilMs: atMs + lastsMs, by, reason });
  } catch (fault) {
    return failure(fault);
  }
  const fault = await clear();
  const details = { agent: port.path, backend: config.backend, error: fault ?? null };
  audit(dataDir, 'clear', { atMs: port.now(), ...details });
  return fault === undefined
    ? { outcome: 'done', text: '' }
    : { outcome: 'failed', text: `${STILL_THERE} (${fault.code}: ${fault.reason})` };
};

const releaseBrake = (
  by: string,
  config: Pick<EnforcerConfig, 'killSwitch'>,
  port: Pick<IoPort<Self>, 'node' | 'now'>,
): Done => {
  try {
    endPanic(port.node.dataDir, by, port.now());
  } catch (fault) {
    return failure(fault);
  }
  if (!config.killSwitch) return { outcome: 'done', text: '' };
  return { outcome: 'in-topology', text: IN_TOPOLOGY.reason };
};

type Around = Pick<IoPort<Self>, 'node' | 'now' | 'path'> & {
  readonly brake: () => Brake | undefined;
  /** Takes everything of ours away, after what is under way. */
  readonly clear: () => Promise<Fault | undefined>;
  readonly deliver: (message: Self) => void;
};

/** The commands that look at the brake and at approvals, pull the brake and release it. */
export const hands = (
  config: Pick<EnforcerConfig, 'backend' | 'killSwitch'>,
  around: Around,
): IoAdapter<Pick<Commands, 'look' | 'pull' | 'release'>>['commands'] => {
  const { brake, clear, deliver } = around;
  let known: string | undefined;
  let approvals = '{}';
  const hearApprovals = (): void => {
    const found = readApprovals(around.node.dataDir);
    const text = JSON.stringify(found);
    if (text === approvals) return;
    approvals = text;
    const by = Object.entries(found).map(([id, one]) => [id, one.by] as const);
    deliver({ kind: 'approved', by: new Map(by) });
  };
  const look = (): void => {
    hearApprovals();
    const why = brake();
    if (why?.reason === known) return;
    known = why?.reason;
    deliver({ kind: 'braked', why });
  };
  return {
    look,
    pull: async ({ replyTo, ...how }) => {
      const done = await pullBrake(how, config, around, clear);
      look();
      deliver({ kind: 'handled', replyTo, ...done });
    },
    release: ({ by, replyTo }) => {
      const done = releaseBrake(by, config, around);
      look();
      deliver({ kind: 'handled', replyTo, ...done });
    },
  };
};
