/** What an undisturbed node says of a campaign of scans: for tests that disturb one. The run is made once for all of them. */
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { campaign } from './campaign.ts';
import { publishedContents } from './fates.ts';
import { giveDatabase } from './new-database.ts';
import { madeOnce } from './once.ts';
import { AT_FULL_SPEED, nodeStarter } from './whole-node.ts';

/** Hosts that scan, one after the other; each is an incident at least. */
const SCANNERS = 240;
const EVERY_MS = 40;
const CAPTURE = 'campaign.pcap';
const RUN_MS = 200_000;
/** An anomaly that grows out of another one names it by an id that the detector's key is part of. */
const IDENTITY = ['keys', 'genesis.json', 'genesis.json.sha256'];

export type CalmRun = {
  /** The file. */
  readonly capture: string;
  /** What the detector says of it: content hashes, sorted. */
  readonly expected: readonly string[];
  /** Lays the keys and the genesis of the undisturbed node into another data folder. */
  readonly giveIdentity: (dataDir: string) => void;
};

const dataDirIn = (folder: string): string => path.join(folder, 'data');

const make = async (folder: string): Promise<void> => {
  const capture = path.join(folder, CAPTURE);
  writeFileSync(capture, campaign(SCANNERS, EVERY_MS));
  const dataDir = dataDirIn(folder);
  await giveDatabase(dataDir);
  const source = [`--source=pcap:${capture}`];
  const start = await nodeStarter({ dataDir, source, timeoutMs: RUN_MS });
  const run = start(AT_FULL_SPEED);
  const { code } = await run.done;
  if (code !== 0) throw new Error(`the undisturbed node ended with ${code}: ${run.output()}`);
};

export const calmRun = async (): Promise<CalmRun> => {
  const folder = await madeOnce('calm-run', make);
  const expected = publishedContents(dataDirIn(folder));
  if (expected.length < SCANNERS) throw new Error(`${expected.length} anomalies of ${SCANNERS}`);
  return {
    capture: path.join(folder, CAPTURE),
    expected,
    giveIdentity: (dataDir) => {
      for (const name of IDENTITY) {
        const from = path.join(dataDirIn(folder), name);
        cpSync(from, path.join(dataDir, name), { recursive: true });
      }
    },
  };
};
