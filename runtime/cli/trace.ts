/** `trace`: messages between actors as they pass, and the tree of cause and consequence of one of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Shown, TapWish, TraceSummary } from '#runtime/trace/sightings.ts';
import { millis, traceTrees, treeText } from '#runtime/trace/tree.ts';
import { type Parsed, readDuration } from './arguments.ts';
import { EXIT } from './command.ts';
import { namedNodes, openTaps, spansOf, tracesOf } from './several-nodes.ts';
import { type Asking, commandOf, unlessLeft, verb, wrong } from './verb.ts';

const OPTIONS = {
  actor: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  kind: { type: 'string', multiple: true },
  id: { type: 'string' },
  max: { type: 'string' },
  rate: { type: 'string' },
  for: { type: 'string' },
  record: { type: 'string' },
  ratio: { type: 'string' },
  list: { type: 'boolean' },
} as const;
type Options = Parsed<typeof OPTIONS>['options'];

const MAX_DEFAULT = 100;
const MAX_MOST = 100_000;
const RATE_DEFAULT = 50;
const RATE_MOST = 1000;
const POLL_MS = 150;
/** After Ctrl-C the node has so long for what it has seen last. */
const LAST_WORDS_MS = 1000;
const LISTED = 20;
const ID = /^[0-9a-f]{4,32}$/;

const countOf = (text: string | undefined, usual: number, most: number): number | undefined => {
  const count = Number(text ?? usual);
  return Number.isInteger(count) && count >= 1 && count <= most ? count : undefined;
};

/** What a live trace takes. */
const LIVE = ['actor', 'from', 'to', 'kind', 'id', 'max', 'rate', 'for'] as const;

/** What cannot stand together. */
const together = (options: Options, id: string | undefined): string | undefined => {
  const modes = [
    ...(id === undefined ? [] : [id]),
    ...(options.record === undefined ? [] : ['--record']),
    ...(options.list === true ? ['--list'] : []),
  ];
  const live = LIVE.filter((name) => options[name] !== undefined).map((name) => `--${name}`);
  const [first, second] = [...modes, ...live];
  if (modes.length > 0 && second !== undefined) return `${first} and ${second} do not go together`;
  if (options.ratio !== undefined && options.record === undefined) return '--ratio needs --record';
  return undefined;
};

type Wanted = { readonly wish: TapWish; readonly max: number; readonly forMs: number };

/** What a live trace shall show, or what is wrong with the options. */
const wantedOf = (options: Options): Wanted | string => {
  const { actor, from, to, kind, id } = options;
  const max = countOf(options.max, MAX_DEFAULT, MAX_MOST);
  if (max === undefined) return `--max takes 1 to ${MAX_MOST}`;
  const perSecondMax = countOf(options.rate, RATE_DEFAULT, RATE_MOST);
  if (perSecondMax === undefined) return `--rate takes 1 to ${RATE_MOST} messages a second`;
  if (id !== undefined && !ID.test(id)) return '--id takes the first digits of a trace id, 4 to 32';
  const time = options.for === undefined ? undefined : readDuration(options.for);
  if (time?.ok === false) return `--for: ${time.error}`;
  const wish = {
    perSecondMax,
    ...(actor === undefined ? {} : { actor }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(kind === undefined ? {} : { kinds: kind }),
    ...(id === undefined ? {} : { trace: id }),
  };
  return { wish, max, forMs: time?.value ?? Number.POSITIVE_INFINITY };
};

const SOURCE: { readonly [cause in Shown['cause']]: string } = {
  message: '',
  answer: '',
  timer: '(timer)',
  io: '(io)',
  own: '(own)',
  start: '(start)',
  record: '(record)',
};

const lineOf = (one: Shown): string => {
  const time = new Date(one.atMs).toISOString().slice(11, 23);
  const from = one.from === '' ? SOURCE[one.cause] : one.from;
  const answer = one.cause === 'answer' ? ' (answer)' : '';
  const text = one.text.replaceAll(/\p{C}/gu, ' ');
  return `${time} ${one.trace.slice(0, 8)} ${from} -> ${one.to}  ${one.kind}${answer}  ${millis(one.handledMs)} ms  ${text}`;
};

const follow = async (asking: Asking, { wish, max, forMs }: Wanted): Promise<number> => {
  const { io, signal } = asking;
  const untilMs = performance.now() + forMs;
  const taps = await openTaps(await namedNodes(asking.nodes), wish);
  const kept: Shown[] = [];
  let shown = 0;
  let leftOut = 0;
  while (shown < max) {
    const isOver = signal.aborted || performance.now() >= untilMs;
    const reading = await unlessLeft(taps.read(), signal, LAST_WORDS_MS);
    if (reading === undefined) break;
    const lines = reading.lines.slice(0, max - shown);
    leftOut = reading.leftOut + reading.lines.length - lines.length;
    shown += lines.length;
    if (io.json) kept.push(...lines);
    else if (lines.length > 0) io.out(lines.map(lineOf).join('\n'));
    if (isOver) break;
    if (shown < max) await sleep(POLL_MS, undefined, { signal }).catch(() => {}); // Ctrl-C ends it
  }
  await unlessLeft(taps.close(), signal, LAST_WORDS_MS);
  if (io.json) io.out(JSON.stringify({ messages: kept, leftOut }));
  else
    io.out(
      `${shown} messages shown, ${leftOut} left out (--max ${max}, --rate ${wish.perSecondMax})`,
    );
  return EXIT.ok;
};

const NOTHING =
  'spans are recorded only when that is switched on: trace --record 60s, or node.trace.ratio in the topology';

const showTrace = async (asking: Asking, id: string): Promise<number> => {
  const { io, nodes } = asking;
  const trees = traceTrees(await spansOf(await namedNodes(nodes), id));
  const [tree] = trees;
  if (tree === undefined) {
    const fault = `no recorded trace begins with ${id}; ${NOTHING}`;
    if (io.json) io.out(JSON.stringify({ ok: false, error: fault }));
    else io.err(fault);
    return EXIT.failure;
  }
  if (trees.length > 1) {
    const ids = trees.slice(0, LISTED).map((one) => one.trace);
    io.err(`${trees.length} traces begin with ${id}: ${ids.join(', ')}`);
    return EXIT.failure;
  }
  io.out(io.json ? JSON.stringify(tree) : treeText(tree).join('\n'));
  return EXIT.ok;
};

const summary = (one: TraceSummary): string => {
  const { trace: id, startMs, elapsedMs, spans, actors, actor, kind } = one;
  const time = new Date(startMs).toISOString().slice(11, 23);
  return `${time} ${id}  ${spans} steps, ${actors} actors, ${millis(elapsedMs)} ms  ${actor} ${kind}`;
};

const list = async (asking: Asking): Promise<number> => {
  const { io, nodes } = asking;
  const traces = await tracesOf(await namedNodes(nodes), LISTED);
  if (io.json) io.out(JSON.stringify({ traces }));
  else io.out(traces.length === 0 ? `no traces: ${NOTHING}` : traces.map(summary).join('\n'));
  return EXIT.ok;
};

const record = async ({ nodes, io }: Asking, forMs: number, ratio: number): Promise<number> => {
  await Promise.all(nodes.map((node) => node.record(ratio, forMs)));
  const text = ratio === 0 ? 'nothing is recorded' : `${ratio * 100} % of all traces are recorded`;
  if (io.json) io.out(JSON.stringify({ ok: true, ratio, forMs }));
  else io.out(`${text} for ${forMs / 1000} s`);
  return EXIT.ok;
};

export const trace = verb({
  name: 'trace',
  summary: 'messages between actors as they pass; trace <id>: the whole path of one',
  usage: `[<id>] [filters] [--max n] [--rate n] [--for 30s] [-o json]

Without an id: messages as they are handled, each with the time that took, until Ctrl-C, --max or --for.
With the first digits of a trace id (each line shows eight): every step that it caused, as a tree, across actors, io,
the bus and libp2p, with the time in the queue and the time of handling, in milliseconds. Of steps
only those of recorded traces are known. Several --data folders: what several nodes saw, in one tree or one stream, each
path with the name of its node.

  --actor name        only messages to or from this actor, or this branch of the tree
  --from, --to name   only messages from, or to, this one
  --kind name         only this kind (again for more); of heard.vote either part will do
  --id digits         only messages of this trace
  --max n             at most n messages (100; up to 100,000)
  --rate n            at most n a second (50; up to 1,000); what is left out is counted
  --for 30s           at most so long
  --record 60s        records steps for so long, then what the topology says; with --ratio 0.1 of a tenth of all traces.
                      Each thread keeps its newest 4,096 steps: a busy node needs a smaller share to see whole traces
  --list              recorded traces, those with the most actors first`,
  options: OPTIONS,
  positionals: [],
  optional: 1,
  isOfNodes: true,
  run: async (asking, { options, positionals: [id] }) => {
    const fault = together(options, id);
    if (fault !== undefined) return wrong(asking, 'trace', fault);
    if (options.record !== undefined) {
      const time = readDuration(options.record);
      if (!time.ok) return wrong(asking, 'trace', `--record: ${time.error}`);
      const ratio = Number((options.ratio ?? '1').trim() || 'nothing');
      if (!(ratio >= 0 && ratio <= 1)) return wrong(asking, 'trace', '--ratio takes 0 to 1');
      return record(asking, time.value, ratio);
    }
    if (options.list) return list(asking);
    if (id !== undefined && !ID.test(id)) {
      return wrong(asking, 'trace', `${id} is no trace id: 4 to 32 hexadecimal digits`);
    }
    if (id !== undefined) return showTrace(asking, id);
    const wanted = wantedOf(options);
    return typeof wanted === 'string' ? wrong(asking, 'trace', wanted) : follow(asking, wanted);
  },
});

export const command = commandOf(trace);
