/** Those who write to a disk, each alone: for tests of disks that are full or read-only. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { DurableRecord } from '#actors/replica/machine/record.ts';
import { config as signerConfig } from '#actors/signer/config.ts';
import { io as signerIo } from '#actors/signer/io.ts';
import type { Self as SignerSelf } from '#actors/signer/messages.ts';
import { writeKeyPair } from '#native/crypto.ts';
import { openEmbedded } from '#runtime/bus/embedded.ts';
import { detection } from '../actors/signer/incidents.ts';
import { testGenesis } from './chain-genesis.ts';
import { portOf } from './executor-host.ts';
import { genesisQc } from './simulator/signed.ts';

/** A bus with the topic `a`, one partition. What it says of its disk goes into `said`: the reason, or 'recovered'. */
export const busOn = (file: string, said: string[]) =>
  openEmbedded({
    file,
    topics: ['a'],
    partitions: 1,
    recordBytesMax: 65_536,
    topicBytesMax: 1 << 30,
    now: () => 1,
    failed: (reason) => void said.push(reason),
    recovered: () => void said.push('recovered'),
  });

/** What a replica writes down before it acts in a view. */
export const safetyRecordOf = (view: number): DurableRecord => ({
  ...{ chainId: 'simulated', epoch: 0, lastActedView: view, lockedView: 0 },
  ...{ lastVote: null, lastTimeout: null, lastProposal: null },
  ...{ highQc: genesisQc, tc: null, committedHeight: 0 },
});

/** A signer in a folder that is made here, with a key of its own; `open` may be called again and again. */
export const signerIn = (folder: string) => {
  mkdirSync(path.join(folder, 'keys'), { recursive: true });
  writeKeyPair(path.join(folder, 'keys', 'detector.pem'));
  const mailbox: SignerSelf[] = [];
  const port = portOf<SignerSelf>(folder, testGenesis(), mailbox);
  const open = async () => signerIo(signerConfig.parse({}), port);
  /** The n-th detection, from 0 on. */
  const accept = ({ commands }: Awaited<ReturnType<typeof open>>, n: number) =>
    commands.accept({ detection: detection(n), epoch: 1, seq: n, room: true, sinceMs: 0 });
  return { mailbox, open, accept };
};
