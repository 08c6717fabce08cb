/** `start <topology>`: runs a node until it is told to stop, its time is over or its source has ended. */
import { filter, ReplaySubject, Subject } from 'rxjs';
import { err, ok, type Result } from '#proto/result.ts';
import type { RuntimeEvent } from '#runtime/events.ts';
import { openLog } from '#runtime/log.ts';
import { type Report, reportOf, reportTable } from '#runtime/metrics/report.ts';
import type { Snapshot } from '#runtime/metrics/snapshot.ts';
import { loadTopology, type Topology } from '#runtime/topology/load.ts';
import { readArguments, readDuration } from './arguments.ts';
import { type CliIo, type Command, EXIT, refuse } from './command.ts';
import { type Launched, launchSystem, prepareActors } from './launch.ts';
import { type Lock, takeLock } from './lock.ts';
import { loadOptionsOf, TOPOLOGY_OPTIONS, TOPOLOGY_USAGE } from './options.ts';
import {
  type Display,
  liveDisplay,
  logDisplay,
  type SessionEnd,
  sessionEnd,
  show,
} from './session.ts';
import { onStopSignals } from './stop-signals.ts';
import { printProblems } from './terminal.ts';
import { viewHeader } from './view-header.ts';

type Wanted = {
  readonly topology: Topology;
  readonly file: string;
  readonly actorsRoot: URL;
  readonly forMs: number | undefined;
};

const read = async (args: readonly string[], io: CliIo): Promise<Result<Wanted, number>> => {
  const kinds = { ...TOPOLOGY_OPTIONS, for: { type: 'string' } } as const;
  const parsed = readArguments(args, kinds, ['the topology file']);
  if (!parsed.ok) return err(refuse(io, command, parsed.error));
  const { options, positionals } = parsed.value;
  const loading = loadOptionsOf(options);
  if (!loading.ok) return err(refuse(io, command, loading.error));
  const time = options.for === undefined ? undefined : readDuration(options.for);
  if (time?.ok === false) return err(refuse(io, command, `--for: ${time.error}`));
  const file = positionals[0]!;
  const topology = await loadTopology(file, loading.value);
  if (!topology.ok) {
    printProblems(io, topology.error);
    return err(EXIT.configuration);
  }
  const { actorsRoot } = loading.value;
  return ok({ topology: topology.value, file, actorsRoot, forMs: time?.value });
};

/** Says an error so that it is found on a terminal, in a log and in a pipe. */
const failure = (io: CliIo, text: string): number => {
  if (io.json) io.out(JSON.stringify({ ok: false, error: text }));
  else io.err(`error: ${text}`);
  return EXIT.failure;
};

const isComplete = (event: RuntimeEvent): boolean =>
  event.kind === 'signal' && event.event.kind === 'complete';

const isLive = (io: CliIo): boolean => !io.json && process.stdout.isTTY === true;

const displayFor = (wanted: Wanted, io: CliIo, launched: () => Launched | undefined): Display => {
  const { topology, file } = wanted;
  const take = async (): Promise<Snapshot> => {
    const running = launched();
    if (running === undefined) throw new Error('not started yet');
    return running.system.snapshot();
  };
  if (!isLive(io)) {
    // With -o json standard output is one JSON document, so the log goes to standard error.
    return logDisplay(openLog(topology.view.node.name, topology.logLevel, io.json ? 2 : 1), take);
  }
  const startedAtMs = Date.now();
  return liveDisplay(
    process.stdout,
    () => viewHeader(topology.view, file, startedAtMs, launched()?.system.tree()),
    take,
  );
};

const finish = async (
  { system }: Launched,
  end: SessionEnd,
  io: CliIo,
  display: Display,
): Promise<Report> => {
  const say = (text: string): void =>
    display.say({ level: 'info', actor: 'runtime', text, fields: {} });
  display.stopping(end.text);
  const stopped = await system.stop();
  const late = stopped.late.length === 0 ? '' : `; late: ${stopped.late.join(', ')}`;
  say(`stopped in ${Math.round(stopped.elapsedMs)} ms${late}`);
  await display.close();
  if (isLive(io)) io.out(`stopped: ${end.text}${late}`);
  return reportOf(system.snapshot());
};

const runSystem = async (wanted: Wanted, io: CliIo, lock: Lock): Promise<number> => {
  const { topology, actorsRoot, forMs } = wanted;
  let launched: Launched | undefined;
  const display = displayFor(wanted, io, () => launched);
  const signals = new ReplaySubject<string>(1);
  const force = (): void => {
    io.err('stopped at once, without draining');
    void display.close();
    lock.release();
    process.exit(EXIT.failure);
  };
  const deafen = onStopSignals({ drain: (name) => signals.next(name), force });
  const events = new Subject<RuntimeEvent>();
  // A short capture may be through before the start has ended.
  const complete = new ReplaySubject<RuntimeEvent>(1);
  events.pipe(filter(isComplete)).subscribe(complete);
  const hide = show(events, display);
  try {
    const genesis = await prepareActors(topology.view, actorsRoot);
    if (!genesis.ok) return failure(io, genesis.error);
    if (isLive(io)) io.out(`starting ${topology.view.actors.length} actors ...`);
    const started = await launchSystem(topology, genesis.value, (event) => events.next(event));
    if (!started.ok) return failure(io, started.error);
    launched = started.value;
    const { failed } = launched;
    const end = await sessionEnd(failed, complete, signals, forMs);
    const report = await finish(launched, end, io, display);
    if (io.json) io.out(JSON.stringify(report));
    else if (forMs !== undefined || end.why === 'complete') io.out(reportTable(report));
    return end.why === 'failed' ? failure({ ...io, json: false }, end.text) : EXIT.ok;
  } finally {
    hide();
    await display.close();
    deafen();
  }
};

export const command: Command = {
  summary: 'run a node, e.g. start config/local.yaml',
  usage: `start <topology> [--for 30s] [options] [-o json]

Runs everything in the topology file. On a terminal it shows a live status, elsewhere it logs JSON
lines. Ctrl-C finishes what is in hand and stops; a second Ctrl-C stops at once. A finite source
(a capture, a flow table) ends the run when all that it caused has been acknowledged.

  --for 30s           stop after this time at the latest and print the report (ms, s, m, h)
  -o json             print the report as one JSON document; the log goes to standard error
${TOPOLOGY_USAGE}`,
  run: async (args, io) => {
    const wanted = await read(args, io);
    if (!wanted.ok) return wanted.error;
    const lock = takeLock(wanted.value.topology.view.node.dataDir, Date.now());
    if (!lock.ok) return failure(io, lock.error);
    try {
      return await runSystem(wanted.value, io, lock.value);
    } finally {
      lock.value.release();
    }
  },
};
