import { z } from 'zod';

export const config = z.strictObject({
  name: z.string().min(1).describe('The name of this validator in the genesis file'),
  key: z
    .string()
    .min(1)
    .describe('Private key: a PEM file under <dataDir>/keys, or an absolute path'),
  listen: z.string().min(1).describe('Multiaddr to listen on, e.g. /ip4/127.0.0.1/tcp/7001'),
  peers: z
    .record(z.string(), z.string())
    .describe('Where the validators of the genesis file are: name to multiaddr'),
  protocol: z
    .string()
    .startsWith('/')
    .default('/cybermesh/consensus/1')
    .describe('libp2p protocol of the direct streams'),
  timeoutMs: z.int().min(50).default(1000).describe('View timeout at first, milliseconds'),
  timeoutMinMs: z.int().min(50).default(500).describe('Shortest view timeout, milliseconds'),
  timeoutMaxMs: z.int().min(100).default(30_000).describe('Longest view timeout, milliseconds'),
  heartbeatMs: z.int().min(50).default(500).describe('Pause between heartbeats, milliseconds'),
  heartbeatsMissedMax: z
    .int()
    .min(2)
    .default(6)
    .describe('Heartbeats missed in a row before a peer is suspected'),
  queueFramesMax: z
    .int()
    .min(16)
    .default(4096)
    .describe('Frames that wait for one peer; at the bound the oldest is dropped'),
  queueBytesMax: z
    .int()
    .min(1 << 20)
    .default(64 << 20)
    .describe('Bytes that wait for one peer; at the bound the oldest frame is dropped'),
});

export type ReplicaConfig = z.output<typeof config>;
