import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { tcp } from '@libp2p/tcp';
import { lpStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, expect, test } from 'vitest';
import { type Network, openNetwork, type Peer } from '#runtime/p2p/network.ts';
import { freePort } from '#test/kit/ports.ts';

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicKeyOf = (seed: Uint8Array): Uint8Array => {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
};

type Node = { peer: Peer; seed: Uint8Array };
const identity = async (id: string): Promise<Node> => {
  const seed = randomBytes(32);
  const address = `/ip4/127.0.0.1/tcp/${await freePort()}`;
  return { seed, peer: { id, publicKey: publicKeyOf(seed), address } };
};

const opened: Network[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((network) => network.close()));
});

const open = async (node: Node, peers: Peer[], events: string[], frames: string[] = []) => {
  const network = await openNetwork({
    seed: node.seed,
    listen: node.peer.address,
    protocol: '/test/1',
    peers,
    frameBytesMax: 1 << 20,
    queueFramesMax: 64,
    queueBytesMax: 4 << 20,
    silenceMs: 60_000,
    onFrame: (from, bytes, traceparent) => {
      frames.push(
        `${from}:${bytes.length}:${bytes[0]}${traceparent === '' ? '' : ` ${traceparent}`}`,
      );
      return true;
    },
    onPeer: (id, up) => events.push(`${id} ${up ? 'up' : 'down'}`),
    onDropped: (_id, reason) => events.push(reason),
  });
  opened.push(network);
  return network;
};
const until = async (condition: () => boolean): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('deadline');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

test('a peer may be known by the name of its host: it is looked up at each dial', async () => {
  const [a, b] = [await identity('a'), await identity('b')];
  const frames: string[] = [];
  const named = {
    ...b.peer,
    address: b.peer.address.replace('/ip4/127.0.0.1/', '/dns4/localhost/'),
  };
  const network = await open(a, [named], []);
  await open(b, [a.peer], [], frames);
  network.send('b', Uint8Array.of(7));
  await until(() => frames.length === 1);
  expect(frames).toEqual(['a:1:7']);
});

test('frames reach their peer in order, the largest included', async () => {
  const [a, b] = [await identity('a'), await identity('b')];
  const frames: string[] = [];
  const first = await open(a, [b.peer], []);
  await open(b, [a.peer], [], frames);
  for (let k = 1; k <= 20; k++) first.send('b', new Uint8Array([k]));
  first.send('b', new Uint8Array((1 << 20) - 8).fill(9));
  await until(() => frames.length === 21);
  expect(frames.slice(0, 20)).toEqual([...Array(20).keys()].map((k) => `a:1:${k + 1}`));
  expect(frames[20]).toBe(`a:${(1 << 20) - 8}:9`);
});

test('a peer that is not on the list is refused after Noise has shown its key', async () => {
  const [a, b, stranger] = [await identity('a'), await identity('b'), await identity('s')];
  const events: string[] = [];
  const frames: string[] = [];
  await open(a, [b.peer], events, frames);
  const other = await open(stranger, [a.peer], []);
  other.send('a', new Uint8Array([1]));
  await until(() => events.includes('refused-peer'));
  expect(frames).toEqual([]);
});

test('an address with another key behind it is not the peer', async () => {
  const [a, b, impostor] = [await identity('a'), await identity('b'), await identity('i')];
  const frames: string[] = [];
  await open({ ...impostor, peer: b.peer }, [a.peer], [], frames);
  const first = await open(a, [b.peer], []);
  first.send('b', new Uint8Array([1]));
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(frames).toEqual([]);
  expect(first.connected()).toEqual([]);
});

test('a peer that went away and came back is reached again, and the queue stays bounded', async () => {
  const [a, b] = [await identity('a'), await identity('b')];
  const events: string[] = [];
  const frames: string[] = [];
  const first = await open(a, [b.peer], events);
  const second = await open(b, [a.peer], [], frames);
  await until(() => events.includes('b up'));
  await second.close();
  await until(() => events.includes('b down'));
  for (let k = 0; k < 100; k++) first.send('b', new Uint8Array([k]));
  expect(events.filter((e) => e === 'queue-full')).toHaveLength(36);
  await open(b, [a.peer], [], frames);
  await until(() => frames.length >= 63);
  expect(frames.at(-1)).toBe('a:1:99');
});

test('a trace context travels beside a frame, and none where there is none', async () => {
  const [a, b] = [await identity('a'), await identity('b')];
  const frames: string[] = [];
  const first = await open(a, [b.peer], []);
  await open(b, [a.peer], [], frames);
  const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  first.send('b', Uint8Array.of(7), header);
  first.broadcast(Uint8Array.of(8));
  first.send('b', Uint8Array.of(9), 'garbage');
  await until(() => frames.length === 3);
  // Whether the sender records is the sender's affair.
  expect(frames).toEqual([`a:1:7 ${header.replace(/01$/, '00')}`, 'a:1:8', 'a:1:9']);
});

test('a peer that reads no context is spoken to without, and heard', async () => {
  const [a, b] = [await identity('a'), await identity('b')];
  const frames: string[] = [];
  const first = await open(a, [b.peer], [], frames);
  const old = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', b.seed),
    addresses: { listen: [b.peer.address] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
  const heard: number[][] = [];
  await old.handle('/test/1', async (stream) => {
    const lp = lpStream(stream);
    for (;;) {
      const frame = await lp.read().catch(() => undefined);
      if (frame === undefined) return;
      heard.push([...frame.subarray()]);
    }
  });
  const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  first.send('b', Uint8Array.of(7, 8), header);
  await until(() => heard.length === 1);
  expect(heard).toEqual([[7, 8]]);
  const stream = await old.dialProtocol(multiaddr(a.peer.address), '/test/1');
  await lpStream(stream).write(Uint8Array.of(9));
  await until(() => frames.length === 1);
  expect(frames).toEqual(['b:1:9']);
  await old.stop();
});
