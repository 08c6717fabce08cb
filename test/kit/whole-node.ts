/** A whole node as a user starts it, launcher and all, as often as a test wants to start it on the same data folder. */
import { ownPorts } from './local-node.ts';
import { launchCybermesh, type Running } from './processes.ts';

export type WholeNode = {
  readonly dataDir: string;
  /** Arguments that say where its traffic comes from. */
  readonly source: readonly string[];
  readonly timeoutMs: number;
};

/** What a start of a node publishes at most: anomalies a second. */
export type Pace = { readonly perSecondMax: number };

/** As fast as it goes. */
export const AT_FULL_SPEED: Pace = { perSecondMax: 1000 };

/** Each call of what it resolves to starts the node again, on the same ports. */
export const nodeStarter = async (node: WholeNode): Promise<(pace: Pace) => Running> => {
  const { set } = await ownPorts();
  const settings = [
    `node.dataDir=${node.dataDir}`,
    // On a busy machine an engine that is late abstains, and the anomaly says so: another content.
    'detection.ensemble.config.deadlineMs=600000',
  ];
  const sets = [...set, ...settings].map((one) => `--set=${one}`);
  const line = ['start', 'config/local.yaml', ...node.source, ...sets];
  return ({ perSecondMax }) => {
    const pace = `--set=detection.signer.config.perSecondMax=${perSecondMax}`;
    return launchCybermesh([...line, pace], { timeoutMs: node.timeoutMs });
  };
};
