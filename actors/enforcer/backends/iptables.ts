/**
 * Chains `CYBERMESH-*` of iptables and ip6tables over sets of ipset, for kernels and hosts without nft. Sets
 * change places whole and chains are replaced in one transaction a family; all of it is not one.
 */
import { err, ok, type Result } from '#proto/result.ts';
import { type Backend, type Census, type Fault, NO_PACKETS, PACKET_COUNTS } from '../backend.ts';
import type { SetChange } from '../demand.ts';
import { ipsetLayout, refuses, SET_PREFIX } from './ipset-layout.ts';
import { parseRules, parseSets, type Rules } from './iptables-listing.ts';
import {
  destroyScript,
  elementScript,
  fillScript,
  presenceScript,
  removalScript,
  rulesScript,
} from './iptables-script.ts';
import { type Program, program } from './program.ts';
import { type FirewallOptions, type Listing, setBackend } from './set-backend.ts';

type Tools = {
  readonly ipset: Program;
  readonly families: readonly {
    readonly family: 4 | 6;
    readonly save: Program;
    readonly restore: Program;
  }[];
};

/** Another program may hold the lock of the tables for so long. */
const LOCK_S = '5';

const toolsOf = ({ netns, timeoutMs }: FirewallOptions): Tools => {
  const tool = (name: string, packageName = 'iptables'): Program =>
    program({ name, packageName, netns, timeoutMs });
  return {
    ipset: tool('ipset', 'ipset'),
    families: [
      { family: 4, save: tool('iptables-save'), restore: tool('iptables-restore') },
      { family: 6, save: tool('ip6tables-save'), restore: tool('ip6tables-restore') },
    ],
  };
};

const savedRules = async ({ families }: Tools): Promise<Result<readonly Rules[], Fault>> => {
  const all: Rules[] = [];
  for (const { save } of families) {
    const saved = await save(['-c', '-t', 'filter']);
    if (!saved.ok) return saved;
    all.push(parseRules(saved.value));
  }
  return ok(all);
};

const structureOf = (rules: readonly Rules[]): string =>
  rules.map((one) => one.structure).join('\n--\n');

const load = async ({ families }: Tools, textOf: (k: number) => string) => {
  for (const [k, { restore }] of families.entries()) {
    const restored = await restore(['--noflush', '-w', LOCK_S], textOf(k));
    if (!restored.ok) return restored;
  }
  return ok(undefined);
};

const ipset = async (tools: Tools, script: string): Promise<Result<void, Fault>> => {
  if (script === '') return ok(undefined);
  const run = await tools.ipset(['restore'], `${script}\n`);
  return run.ok ? ok(undefined) : err(run.error);
};

/** Counts of chains that were replaced begin at 0: `earlier` is what they had. */
const read = async (
  tools: Tools,
  atMs: number,
  earlier: Census['packets'],
): Promise<Result<Listing | undefined, Fault>> => {
  const rules = await savedRules(tools);
  if (!rules.ok) return rules;
  const saved = await tools.ipset(['save']);
  if (!saved.ok) return saved;
  const sets = parseSets(saved.value, atMs);
  const isThere = rules.value.some((one) => one.chains.length > 0) || sets.size > 0;
  if (!isThere) return ok(undefined);
  const packets = { ...earlier };
  for (const one of rules.value) {
    for (const action of PACKET_COUNTS) packets[action] += one.packets[action];
  }
  return ok({ sets, packets, structure: structureOf(rules.value) });
};

const setNames = async (tools: Tools): Promise<Result<readonly string[], Fault>> => {
  const listed = await tools.ipset(['list', '-n']);
  if (!listed.ok) return listed;
  return ok(listed.value.split('\n').filter((name) => name.startsWith(SET_PREFIX)));
};

/** Sets first, then the rules that name them, then the sets that nothing names any more. */
const replace = async (
  tools: Tools,
  options: FirewallOptions,
  sets: readonly SetChange[],
  atMs: number,
): Promise<Result<void, Fault>> => {
  const rules = await savedRules(tools);
  if (!rules.ok) return rules;
  const filled = await ipset(tools, fillScript(sets, atMs));
  if (!filled.ok) return filled;
  const specs = sets.map(({ set }) => set);
  const loaded = await load(tools, (k) =>
    rulesScript(tools.families[k]!.family, specs, options.failsafe, rules.value[k]!.jumps),
  );
  if (!loaded.ok) return loaded;
  const names = await setNames(tools);
  if (!names.ok) return names;
  const wanted = new Set(specs.map((one) => one.name));
  return ipset(tools, destroyScript(names.value.filter((name) => !wanted.has(name))));
};

const remove = async (tools: Tools): Promise<Result<void, Fault>> => {
  const rules = await savedRules(tools);
  if (!rules.ok) return rules;
  const loaded = await load(tools, (k) => {
    const { jumps, chains } = rules.value[k]!;
    return removalScript(jumps, chains);
  });
  if (!loaded.ok) return loaded;
  const names = await setNames(tools);
  return names.ok ? ipset(tools, destroyScript(names.value)) : names;
};

export const iptablesBackend = (options: FirewallOptions): Backend => {
  const tools = toolsOf(options);
  let earlier: Census['packets'] = NO_PACKETS;
  return setBackend(
    {
      name: 'iptables',
      layout: ipsetLayout,
      refuses,
      probe: async () => {
        const rules = await savedRules(tools);
        if (!rules.ok) return rules;
        const names = await setNames(tools);
        return names.ok ? ok(undefined) : names;
      },
      read: (atMs) => read(tools, atMs, earlier),
      replace: (sets, packets, atMs) => {
        earlier = packets;
        return replace(tools, options, sets, atMs);
      },
      change: (changes, atMs) => ipset(tools, elementScript(changes, atMs)),
      confirm: async (changes) => {
        const [rules, there] = await Promise.all([
          savedRules(tools),
          ipset(tools, presenceScript(changes)),
        ]);
        if (!rules.ok) return rules;
        return there.ok ? ok(structureOf(rules.value)) : there;
      },
      remove: () => remove(tools),
    },
    options.now,
  );
};
