/** Standard output and error as a command sees them. */

import { err, type Result } from '#proto/result.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import { ACTORS_ROOT } from '#runtime/topology/actors.ts';
import { formatProblem, type Problem } from '#runtime/topology/document.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import type { TopologyView } from '#runtime/topology/view.ts';
import type { CliIo } from './command.ts';
import { domainModules } from './domain-modules.ts';

const line = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

export type Streams = {
  readonly out: { write(text: string): unknown };
  readonly err: { write(text: string): unknown };
};

/** Problems as `-o json` shows them. */
export const problemsJson = (problems: readonly Problem[]): readonly object[] =>
  problems.map(({ at, path, message }) => ({
    file: at.source,
    line: at.line,
    column: at.column,
    path,
    message,
  }));

/** One problem a line, or one JSON document with all of them. */
export const printProblems = (io: CliIo, problems: readonly Problem[]): void => {
  if (!io.json) {
    for (const problem of problems) io.err(formatProblem(problem));
    const count = problems.length;
    io.err(`${count} error${count === 1 ? '' : 's'} in the configuration; nothing was started`);
    return;
  }
  io.out(JSON.stringify({ ok: false, errors: problemsJson(problems) }));
};

/** The bus of that topology, opened by its actor; its module is loaded when somebody asks for it. */
const busOf = async (
  view: TopologyView,
  actorsRoot: URL,
  say: (text: string) => void,
): Promise<Result<Bus, string>> => {
  const named = new Set(view.actors.map((one) => one.actor));
  for (const [, module] of await domainModules(actorsRoot, (actor) => named.has(actor))) {
    if (!module.ok) return module;
    if (module.value.bus !== undefined) return module.value.bus(view, say);
  }
  return err(`${view.file} has no bus`);
};

/** The command's side of a terminal. */
export const terminal = (streams: Streams, json: boolean, actorsRoot: URL = ACTORS_ROOT): CliIo => {
  const io: CliIo = {
    out: (text) => void streams.out.write(line(text)),
    err: (text) => void streams.err.write(line(text)),
    json,
    topology: async (file, set = []) => {
      const result = await loadTopology(file, { set, env: process.env });
      if (result.ok) return result.value.view;
      printProblems(io, result.error);
      return undefined;
    },
    bus: (view) => busOf(view, actorsRoot, io.err),
  };
  return io;
};
