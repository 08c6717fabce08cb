/** What the host itself is made of: addresses, gateway, resolvers, ssh sessions, peers (`ip -j`, /proc). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { z } from 'zod';
import { type Address, type Cidr, formatIp, hostCidr, parseIp } from '#proto/ip.ts';
import { ok, type Result } from '#proto/result.ts';
import type { Fault } from './backend.ts';
import { program } from './backends/program.ts';
import type { Surroundings } from './neighbourhood.ts';

const PEER_MEMORY_MS = 300_000;
const PEERS_MAX = 4096;
const SSH_PORT = 22;
const ESTABLISHED = '01';
const TIMEOUT_MS = 5000;
const V4_HEX_CHARS = 8;

const links = z.array(
  z.object({ addr_info: z.array(z.object({ local: z.string().optional() })).default([]) }),
);
const routes = z.array(z.object({ gateway: z.string().optional() }));

export type Connection = {
  readonly localPort: number;
  readonly peer: Address;
  readonly inode: string;
};

/** Words of 32 bits in the byte order of this machine, as the kernel prints them. */
const addressOf = (text: string): Address | undefined => {
  const words = text.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (text.length === V4_HEX_CHARS) {
    return parseIp(bytes.map((byte) => Number.parseInt(byte, 16)).join('.'));
  }
  return parseIp((bytes.join('').match(/.{4}/g) ?? []).join(':'));
};

/** Established connections of /proc/net/tcp or tcp6 (kernel Documentation/networking/proc_net_tcp.rst). */
export const parseConnections = (text: string): Connection[] =>
  text.split('\n').flatMap((line) => {
    const [, local = '', remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const peer = addressOf(remote.split(':')[0] ?? '');
    if (state !== ESTABLISHED || peer === undefined) return [];
    return [{ localPort: Number.parseInt(local.split(':')[1] ?? '', 16), peer, inode }];
  });

export const parseResolvers = (text: string): Address[] =>
  text.split('\n').flatMap((line) => {
    const address = parseIp(/^nameserver\s+(\S+)/.exec(line)?.[1]?.replace(/%.*$/, '') ?? '');
    return address === undefined ? [] : [address];
  });

/** Sockets that a process holds; none where it has ended or is not ours to look at. */
const socketsOf = (pid: string): string[] => {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    return [];
  }
};

const titleOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return ''; // it has ended since
  }
};

/** Only sshd processes of somebody who is logged in: a guesser's connection is no session. */
const sessionSockets = (): ReadonlySet<string> => {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const sessions = pids.filter((pid) => /^sshd(?:-session)?: \S+@\S+/.test(titleOf(pid)));
  return new Set(sessions.flatMap(socketsOf));
};

const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};

const addresses = (texts: readonly (string | undefined)[]): readonly Cidr[] =>
  texts.flatMap((text) => {
    const address = parseIp(text ?? '');
    return address === undefined ? [] : [hostCidr(address)];
  });

export type Surveyor = () => Promise<Result<Surroundings, Fault>>;

export type SurveyOptions = {
  readonly netns: string;
  /** As sshd sets it for whoever started this process: `client port server port`. */
  readonly sshConnection: string;
  readonly now: () => number;
};

/** Peers are remembered for five minutes. */
export const surveyor = ({ netns, sshConnection, now }: SurveyOptions): Surveyor => {
  const ip = program({ name: 'ip', packageName: 'iproute2', netns, timeoutMs: TIMEOUT_MS });
  const cat = program({ name: 'cat', packageName: 'coreutils', netns, timeoutMs: TIMEOUT_MS });
  const seen = new Map<string, { readonly peer: Address; readonly atMs: number }>();
  const resolv = netns === '' ? '' : textOf(`/etc/netns/${netns}/resolv.conf`);
  const connections = async (): Promise<Connection[]> => {
    const files = ['/proc/net/tcp', '/proc/net/tcp6'];
    if (netns === '') return files.flatMap((file) => parseConnections(textOf(file)));
    const read = await cat(files);
    return read.ok ? parseConnections(read.value) : [];
  };
  const remember = (open: readonly Connection[]): readonly Address[] => {
    const atMs = now();
    for (const { peer } of open) seen.set(formatIp(peer), { peer, atMs });
    for (const [key, one] of seen) {
      if (one.atMs < atMs - PEER_MEMORY_MS || seen.size > PEERS_MAX) seen.delete(key);
    }
    return [...seen.values()].map((one) => one.peer);
  };
  return async () => {
    const listed = await Promise.all([
      ip(['-j', 'addr', 'show']),
      ip(['-j', 'route', 'show', 'default']),
      ip(['-j', '-6', 'route', 'show', 'default']),
    ]);
    const [links4, routes4, routes6] = listed;
    if (!links4.ok) return links4;
    const json = <T>(schema: z.ZodType<T>, text: string): T =>
      schema.parse(JSON.parse(text || '[]'));
    const defaults = [routes4, routes6].flatMap((one) => (one.ok ? json(routes, one.value) : []));
    const open = await connections();
    const atSsh = open.filter((one) => one.localPort === SSH_PORT);
    const sessions = atSsh.length === 0 ? new Set<string>() : sessionSockets();
    return ok({
      own: addresses(
        json(links, links4.value).flatMap((one) => one.addr_info.map((info) => info.local)),
      ),
      gateways: addresses(defaults.map((one) => one.gateway)),
      resolvers: parseResolvers(resolv === '' ? textOf('/etc/resolv.conf') : resolv).map(hostCidr),
      admins: [
        ...addresses([sshConnection.split(' ')[0]]),
        ...atSsh.filter((one) => sessions.has(one.inode)).map((one) => hostCidr(one.peer)),
      ],
      peers: remember(open),
    });
  };
};
