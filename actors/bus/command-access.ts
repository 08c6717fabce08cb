/** The bus as commands of any actor use it (`CliIo.bus`): topics by their own names, whatever the driver calls them. */
import { err, ok, type Result } from '#proto/result.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { config } from './config.ts';
import { openDriver, renamed } from './drivers.ts';
import { busSocket, connectBus } from './local-access.ts';

const isAbsent = (fault: unknown): boolean =>
  ['ENOENT', 'ECONNREFUSED'].includes((fault as NodeJS.ErrnoException).code ?? '');

const withOwnNames = (bus: Bus, names: (topic: string) => string): Bus => ({
  publish: (batch) => bus.publish(batch.map((one) => ({ ...one, topic: names(one.topic) }))),
  fetch: (topic, ...rest) => bus.fetch(names(topic), ...rest),
  commit: (topic, ...rest) => bus.commit(names(topic), ...rest),
  ends: (topic, ...rest) => bus.ends(names(topic), ...rest),
  close: () => bus.close(),
});

/** The error says what to do. `say` gets what a driver has to say meanwhile. */
export const commandBus = async (
  topology: TopologyView,
  say: (text: string) => void,
): Promise<Result<Bus, string>> => {
  const [actor] = actorsOf(topology, 'bus');
  if (actor === undefined) return err(`${topology.file} has no bus`);
  const settings = config.parse(actor.config);
  const names = (topic: string): string => renamed(settings, topic);
  const { dataDir } = topology.node;
  try {
    if (settings.driver === 'embedded') return ok(withOwnNames(await connectBus(dataDir), names));
    const bus = await openDriver(
      // A command makes no topics.
      { ...settings, create: undefined },
      {
        file: '',
        now: Date.now,
        say: (level, text, fields) => {
          if (level !== 'info') say(`${level}: ${text}${fields && ` ${JSON.stringify(fields)}`}`);
        },
        appended: () => undefined,
        lag: () => undefined,
      },
      process.env,
    );
    return ok(withOwnNames(bus, names));
  } catch (fault) {
    if (settings.driver === 'embedded' && isAbsent(fault)) {
      return err(
        `no node runs on the data folder ${dataDir} (${busSocket(dataDir)}): start it first`,
      );
    }
    return err(fault instanceof Error ? fault.message : String(fault));
  }
};
