/** The way of an order that the guardrails have let through: signed, published, followed, told. */
import type { PolicyRule } from '#proto/policy.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import { type CliIo, EXIT } from '#runtime/cli/command.ts';
import type { TopologyView } from '#runtime/topology/view.ts';
import { carryOut } from './following.ts';
import { failure, outcomeOf, tell } from './saying.ts';
import { type Operator, signOrders } from './signing.ts';

/** Opens the bus for `work`; whatever goes wrong with it is a sentence. */
export const withBus = async (
  io: CliIo,
  topology: TopologyView,
  work: (bus: Bus) => Promise<number>,
): Promise<number> => {
  const opened = await io.bus(topology);
  if (!opened.ok) return failure(io, opened.error);
  try {
    return await work(opened.value);
  } catch (fault) {
    const why = fault instanceof Error ? fault.message : String(fault);
    return failure(io, `the bus went away: ${why}; what was published may yet be carried out`);
  } finally {
    await opened.value.close();
  }
};

/** What a dry run says instead. */
export const showRules = (io: CliIo, rules: readonly PolicyRule[]): number => {
  if (io.json) io.out(JSON.stringify({ ok: true, dryRun: true, rules }));
  else {
    for (const rule of rules) io.out(JSON.stringify(rule));
    io.out(`${rules.length} would be signed and published`);
  }
  return EXIT.ok;
};

export const give = async (
  io: CliIo,
  bus: Bus,
  operator: Operator,
  rules: readonly PolicyRule[],
  waitMs: number,
): Promise<number> => {
  const { genesis, believed, key } = operator;
  const enforcers = new Map(
    genesis.producers
      .filter((one) => one.role === 'enforcer')
      .map((one) => [one.publicKey, one.name]),
  );
  const validators = genesis.validators.length;
  const patience = { waitMs, validators, enforcers: enforcers.size };
  const signed = signOrders(rules, key, Date.now());
  const followed = await carryOut(bus, signed, believed, patience);
  if (!followed.ok) return failure(io, followed.error);
  return tell(
    io,
    followed.value.map((one) => outcomeOf(one, enforcers)),
    validators,
  );
};
