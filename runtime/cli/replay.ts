/** `replay`: runs a core into the exception of a crash report. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { err, ok, type Result } from '#proto/result.ts';
import type { Actor } from '#runtime/actor.ts';
import { parseReport, type Replayed, replayDump } from '#runtime/flight/replay.ts';
import {
  type CrashReport,
  type Dump,
  REPORT_BYTES_MAX,
  stateShown,
} from '#runtime/flight/report.ts';
import { ACTORS_ROOT, partOf } from '#runtime/topology/actors.ts';
import { textOf } from '#runtime/trace/tap.ts';
import { readArguments } from './arguments.ts';
import { type Command, EXIT, refuse } from './command.ts';
import { failure } from './running-node.ts';

const MESSAGES_SHOWN = 10;
/** JSON with one blank of indentation is longer than what was measured when it was written. */
const FILE_BYTES_MAX = 4 * REPORT_BYTES_MAX;

const read = (file: string): Result<CrashReport, string> => {
  try {
    if (statSync(file).size > FILE_BYTES_MAX) return err(`${file} is too long for a crash report`);
    return ok(parseReport(readFileSync(file, 'utf8')));
  } catch (fault) {
    const { code, message } = fault as NodeJS.ErrnoException;
    return err(`${file}: ${code === 'ENOENT' ? 'there is no such file' : message}`);
  }
};

/** The module that the report names, where it is still there; else the actor of that name. */
const actorOf = async (dump: Dump, actors: string | undefined): Promise<Result<Actor, string>> => {
  const root =
    actors === undefined
      ? ACTORS_ROOT
      : new URL(`${pathToFileURL(path.resolve(actors)).href.replace(/\/$/, '')}/`);
  const file = partOf(root, dump.actor, 'actor')?.href ?? dump.module;
  // A report is data of somebody: it may name a module of this machine, and bring none of its own.
  if (!file.startsWith('file:///')) return err(`${file} is no module of this machine`);
  try {
    return ok(((await import(file)) as { readonly default: Actor }).default);
  } catch (fault) {
    return err(
      `the actor ${dump.actor} cannot be loaded from ${file}: ${(fault as Error).message}`,
    );
  }
};

const why = (report: CrashReport): string | undefined => {
  const { dump } = report;
  if (dump === null) return 'the thread ended without an exception: there is nothing to run again';
  if (dump.phase === 'io') return 'io failed, not the core: there is nothing to run again';
  if (dump.stateIs === 'none' && dump.phase !== 'start')
    return `the report has no state: ${dump.why}`;
  return undefined;
};

const headText = (report: CrashReport): string[] => {
  const { path: actor, kind, atMs, node, cybermesh, trace, dump, log } = report;
  const messages = dump?.messages.slice(-MESSAGES_SHOWN) ?? [];
  return [
    `${actor} of node ${node} crashed in ${kind} at ${new Date(atMs).toISOString()} (cybermesh ${cybermesh})`,
    `trace       ${trace || 'none'}`,
    `error       ${report.error}`,
    ...(messages.length === 0 ? [] : ['messages before']),
    ...messages.map(
      (m) => `  ${new Date(m.atMs).toISOString().slice(11, 23)} ${m.kind}  ${m.text}`,
    ),
    ...(log.length === 0 ? [] : ['log']),
    ...log.slice(-MESSAGES_SHOWN).map((l) => `  ${l.level} ${l.text}`),
  ];
};

const stateText = (dump: Dump, replayed: Replayed): string[] => {
  const name = dump.stateIs === 'before' ? 'state before' : `state after the crash (${dump.why})`;
  const shown = inspect(replayed.stateBefore, { depth: 8, breakLength: 100 });
  return [name, shown.replaceAll(/^/gm, '  ')];
};

const verdict = ({ reproduced, thrown }: Replayed): string => {
  if (reproduced) return `reproduced: ${thrown!.name}: ${thrown!.message}`;
  if (thrown === undefined) return 'not reproduced: nothing was thrown';
  return `not reproduced: ${thrown.name}: ${thrown.message}`;
};

export const command: Command = {
  summary: 'run a core with the state and message of a crash report into the same exception',
  usage: `replay <report> [--actors folder] [-o json]

Crash reports lie in the folder crashes of a data folder; the log names each. The core runs here, on the main thread, without
io: a debugger can watch it (node --inspect-brk runtime replay <report>). Exit code 0: the same exception; 1: another
one, none, or nothing to run.

  --actors folder     load actors from another folder than actors/`,
  run: async (args, io) => {
    const parsed = readArguments(args, { actors: { type: 'string' } } as const, ['the report']);
    if (!parsed.ok) return refuse(io, command, parsed.error);
    const { options, positionals } = parsed.value;
    const report = read(positionals[0]!);
    if (!report.ok) return failure(io, report.error);
    const { dump } = report.value;
    const reason = why(report.value);
    if (dump === null || reason !== undefined) {
      if (!io.json) io.out(headText(report.value).join('\n'));
      return failure(io, reason ?? 'the report is empty');
    }
    const actor = await actorOf(dump, options.actors);
    if (!actor.ok) return failure(io, actor.error);
    const replayed = replayDump(dump, actor.value, stateShown);
    if (io.json) {
      const { reproduced, thrown, stateBefore: state } = replayed;
      io.out(JSON.stringify({ reproduced, thrown: thrown ?? null, stateIs: dump.stateIs, state }));
    } else {
      const message =
        replayed.message === undefined
          ? []
          : ['message', `  ${replayed.message.kind}  ${textOf(replayed.message)}`];
      const effects = replayed.effects.map(
        (e) => `  ${e.effect} ${String(e.to ?? e.command ?? '')}`,
      );
      io.out(
        [
          ...headText(report.value),
          ...message,
          ...stateText(dump, replayed),
          ...(effects.length === 0 ? [] : ['said before it threw', ...effects]),
          verdict(replayed),
        ].join('\n'),
      );
    }
    return replayed.reproduced ? EXIT.ok : EXIT.failure;
  },
};
