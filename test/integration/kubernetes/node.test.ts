/** A whole node, from packets to NetworkPolicies: what its disks say is what the API server holds. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeAck } from '#proto/wire/ack.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { fatesOf, topicOf } from '#test/kit/fates.ts';
import { type LocalNode, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { type Captured, ethernet, ip4, pcap, type TcpOptions, tcp } from '#test/kit/packets.ts';
import { CLUSTER_NETWORKS, type Setting, setting } from './setting.ts';

const SERVER = '192.0.2.10';
const scanner = (k: number): string => `198.18.0.${k}`;
/** By the settings an address of the cluster. */
const OWN = scanner(3);
/** It completes no connection: anybody could have sent this in its name. */
const FORGED = scanner(5);

/** A scan with connect(): some ports are open, and of those it takes the connection and resets it. */
const scan = (from: string, beganUs: number): Captured[] =>
  Array.from({ length: 96 }, (_, k) => k).flatMap((k) => {
    const at = { timeUs: beganUs + k * 5000 };
    const isOpen = k % 8 === 0 && from !== FORGED;
    const [own, port] = [40_000 + k, isOpen ? 80 : 100 + k];
    const out = (after: number, options: Partial<TcpOptions>): Captured => ({
      timeUs: at.timeUs + after,
      frame: ethernet(ip4(from, SERVER, 6, tcp({ from: own, to: port, flags: '', ...options }))),
    });
    const back = (after: number, options: Partial<TcpOptions>): Captured => ({
      timeUs: at.timeUs + after,
      frame: ethernet(ip4(SERVER, from, 6, tcp({ from: port, to: own, flags: '', ...options }))),
    });
    const syn = out(0, { flags: 'S', sequence: 100 });
    if (!isOpen) return [syn, back(200, { flags: 'RA', acknowledgement: 101 })];
    return [
      syn,
      back(200, { flags: 'SA', sequence: 900, acknowledgement: 101 }),
      out(400, { flags: 'A', sequence: 101, acknowledgement: 901 }),
      out(600, { flags: 'RA', sequence: 101, acknowledgement: 901 }),
    ];
  });

let world: Setting;
let node: LocalNode | undefined;
beforeEach(async () => {
  world = await setting();
});
afterEach(async () => {
  await node?.system.stop();
  await world.close();
});

test('scanners are shut out of the pods; what a NetworkPolicy cannot do is acknowledged as not-enforceable', {
  timeout: 180_000,
}, async () => {
  const file = path.join(world.folder, 'scans.pcap');
  const scanners = [1, 2, 3, 4, 5].map(scanner);
  const startUs = 1_780_000_000_000_000;
  const packets = scanners.flatMap((one, k) => scan(one, startUs + k * 50_000));
  writeFileSync(file, pcap(packets.sort((a, b) => a.timeUs - b.timeUs)));
  const dataDir = path.join(world.folder, 'data');
  const networks = [...CLUSTER_NETWORKS, `${OWN}/32`].map((one) => `"${one}"`);
  node = await startLocal(dataDir, [
    ...sourceSet('pcap', file),
    'enforcer.config.backend=kubernetes',
    `enforcer.config.kubernetes.kubeconfig=${world.api.kubeconfig(world.folder)}`,
    'enforcer.config.kubernetes.namespaces=[web]',
    'enforcer.config.kubernetes.podLabels={ app: web }',
    `enforcer.config.kubernetes.clusterNetworks=[${networks}]`,
  ]);
  await node.complete;
  const shut = scanners.filter((one) => !world.reaches(one));
  expect(shut).toEqual([1, 2, 4].map(scanner));
  expect(world.reaches('198.18.0.9')).toBe(true);
  await node.system.stop();
  const fates = fatesOf(dataDir);
  expect(fates.forks).toEqual([]);
  expect(fates.acks.applied).toHaveLength(3);
  const failed = topicOf(dataDir, TOPICS.policyAcks).flatMap(({ value }) => {
    const ack = decodeAck(value);
    return ack.ok && ack.value.result === 'failed' ? [ack.value] : [];
  });
  expect(failed.map(({ errorCode }) => errorCode)).toEqual(['not-enforceable', 'not-enforceable']);
  expect(failed.map(({ reason }) => reason).sort()).toEqual([
    expect.stringContaining(`${OWN}/32 of kubernetes.clusterNetworks`),
    expect.stringContaining('no rates'),
  ]);
});
