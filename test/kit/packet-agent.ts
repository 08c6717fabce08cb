/**
 * Runs inside a network namespace and does what lines of JSON on its standard input say: listens, sends,
 * connects, counts. One line of answer a line.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import { createInterface } from 'node:readline';

export type PacketCommand =
  | { readonly op: 'listen'; readonly port: number }
  | {
      readonly op: 'udp';
      readonly from: string;
      readonly to: string;
      readonly port: number;
      readonly count: number;
    }
  | {
      readonly op: 'tcp';
      readonly from: string;
      readonly to: string;
      readonly port: number;
      readonly timeoutMs: number;
      /** Ends the connection with a reset, as a connect() scan does. */
      readonly reset?: boolean;
    }
  /** Opens and closes connections, sixteen at a time, until `sureMs` pass without an answer to one of them. */
  | {
      readonly op: 'flood';
      readonly from: string;
      readonly to: string;
      readonly port: number;
      readonly sureMs: number;
      readonly lastMs: number;
    }
  /** Datagrams received from an address at a port since the last question. */
  | { readonly op: 'received'; readonly from: string; readonly port: number };

const received = new Map<string, number>();
const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

const listenUdp = (family: 4 | 6, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = dgram.createSocket({ type: `udp${family}`, ipv6Only: family === 6 });
    socket.on('message', (_, { address }) => {
      const key = `${address} ${port}`;
      received.set(key, (received.get(key) ?? 0) + 1);
    });
    socket.once('error', reject);
    socket.bind(port, family === 4 ? '0.0.0.0' : '::', resolve);
  });

const listenTcp = (family: 4 | 6, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end();
    });
    server.once('error', reject);
    server.listen({ port, host: family === 4 ? '0.0.0.0' : '::', ipv6Only: family === 6 }, resolve);
  });

const sendUdp = async (command: Extract<PacketCommand, { op: 'udp' }>): Promise<number> => {
  const { from, to, port, count } = command;
  const socket = dgram.createSocket(`udp${familyOf(to)}`);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, from, resolve);
  });
  let sent = 0;
  for (let k = 0; k < count; k++) {
    // A firewall of the sender's own answers EPERM, one that rejects ECONNREFUSED and the like.
    await new Promise<void>((resolve) =>
      socket.send(`${k}`, port, to, (fault) => {
        if (!fault) sent++;
        resolve();
      }),
    );
  }
  socket.close();
  return sent;
};

/** `open`, `timeout`, or the code of the error. */
const connect = (command: Extract<PacketCommand, { op: 'tcp' }>): Promise<string> =>
  new Promise((resolve) => {
    const { from, to, port, timeoutMs } = command;
    const socket = net.connect({ host: to, port, localAddress: from });
    const finish = (outcome: string): void => {
      clearTimeout(timer);
      if (command.reset && outcome === 'open') socket.resetAndDestroy();
      else socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    socket.once('connect', () => finish('open'));
    socket.once('error', (fault: NodeJS.ErrnoException) => finish(fault.code ?? fault.message));
  });

const FLOOD_LANES = 16;

/** `opened droppedMs`: connections that were made, and when the first began that got no answer (-1: none). */
const flood = async (command: Extract<PacketCommand, { op: 'flood' }>): Promise<string> => {
  const { from, to, port, sureMs, lastMs } = command;
  const beganMs = performance.now();
  let opened = 0;
  let droppedMs = -1;
  const lane = async (): Promise<void> => {
    while (droppedMs < 0 && performance.now() - beganMs < lastMs) {
      const triedMs = performance.now() - beganMs;
      const outcome = await connect({ op: 'tcp', from, to, port, timeoutMs: sureMs });
      if (outcome === 'open') opened++;
      else if (droppedMs < 0 || triedMs < droppedMs) droppedMs = triedMs;
    }
  };
  await Promise.all(Array.from({ length: FLOOD_LANES }, lane));
  return `${opened} ${Math.round(droppedMs)}`;
};

const perform = async (command: PacketCommand): Promise<string | number> => {
  switch (command.op) {
    case 'listen':
      for (const family of [4, 6] as const) {
        await listenUdp(family, command.port);
        await listenTcp(family, command.port);
      }
      return 'listening';
    case 'udp':
      return sendUdp(command);
    case 'tcp':
      return connect(command);
    case 'flood':
      return flood(command);
    case 'received': {
      const key = `${command.from} ${command.port}`;
      const count = received.get(key) ?? 0;
      received.delete(key);
      return count;
    }
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await perform(JSON.parse(line) as PacketCommand).catch(
    (fault: Error) => `failed: ${fault.message}`,
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
