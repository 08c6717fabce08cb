/** A Redis that is there and takes nothing, or cannot be trusted: it is named, done without, and caught up with. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { config as feedbackConfig } from '#actors/feedback/config.ts';
import type { Self as FeedbackSelf } from '#actors/feedback/core.ts';
import { io as feedbackIo } from '#actors/feedback/io.ts';
import type { Anomaly } from '#actors/feedback/lifecycle.ts';
import { config as ingestConfig } from '#actors/ingest/config.ts';
import { openSharedNonces } from '#actors/ingest/shared-nonces.ts';
import type { Self as IngestSelf } from '#actors/ingest/state.ts';
import { makeCertificates } from '#test/kit/certificates.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { freshFolder, portOf } from '#test/kit/executor-host.ts';
import { freePort } from '#test/kit/ports.ts';
import { programOf } from '#test/kit/programs.ts';
import { hasRedis, type RedisServer, redisServer } from '#test/kit/redis.ts';
import { canMount, type SmallDisk, smallDisk } from '#test/kit/small-disk.ts';

const DISK_BYTES = 4 << 20;
const PATIENCE = { timeout: 30_000 } as const;

const anomaly = (id: string): Anomaly => ({
  ...{ id, type: 'ddos', source: 'ensemble', srcIp: '10.0.0.1', dstIp: '10.0.0.2', severity: 7 },
  ...{ confidence: 0.9, detectedAtMs: 1, admittedBy: [], rejectedBy: [], committedBy: [] },
  state: 'PUBLISHED',
  transitions: [{ state: 'PUBLISHED', atMs: Date.now(), cause: 'test' }],
  height: 3,
});

/** A port that remembers what was said through it. */
const listening = <Self extends { readonly kind: string }>() => {
  const said: string[] = [];
  const port = {
    ...portOf<Self>(freshFolder(), testGenesis(), []),
    now: Date.now,
    log: (_level: string, text: string, fields?: object) =>
      void said.push(`${text} ${JSON.stringify(fields ?? {})}`),
  };
  return { port, text: () => said.join('\n') };
};

/** The lifecycle in Redis of a feedback with a store of its own. */
const lifecycle = async (redis: object) => {
  const { port, text } = listening<FeedbackSelf>();
  const adapter = await feedbackIo(feedbackConfig.parse({ redis }), port);
  const put = (id: string): void => {
    const changes = {
      anomalies: new Map([[id, anomaly(id)]]),
      heights: new Map(),
      policies: new Map(),
    };
    void adapter.commands.save({ changes, records: [] });
  };
  return { put, text, close: async () => await adapter.close?.() };
};

const nonces = async (redis: object) => {
  const { port, text } = listening<IngestSelf>();
  const settings = ingestConfig.parse({ name: 'v1', key: 'v1.pem', redis });
  const opened = await openSharedNonces(settings, port);
  const claim = (key: string) => {
    const place = { topic: 'ai.anomalies.v1', partition: 0, offset: 1 } as const;
    return opened.claim([{ key, contentHash: 'aa', place, ttlMs: 900_000 }]);
  };
  return { claim, text, close: opened.close };
};

type Fault = {
  readonly name: string;
  readonly said: RegExp;
  readonly begin: () => Promise<unknown>;
  readonly end: () => Promise<unknown>;
};

describe.skipIf(!hasRedis || !canMount)(
  'a Redis that takes nothing (needs redis-server and root)',
  () => {
    let server: RedisServer;
    let disk: SmallDisk;
    beforeAll(async () => {
      disk = smallDisk(DISK_BYTES);
      server = await redisServer(false, { parent: disk.path });
    });
    afterAll(async () => {
      await server.close();
      disk.remove();
    });
    const tried = (...words: string[]) => server.send(...words).catch(() => undefined);
    /** A failed copy to the disk makes Redis refuse what it could not keep. */
    const saved = async (isDone: 'ok' | 'err'): Promise<void> => {
      await tried('BGSAVE');
      const status = async () => String(await server.send('INFO', 'persistence'));
      await expect
        .poll(status, PATIENCE)
        .toMatch(new RegExp(`rdb_bgsave_in_progress:0[^]*rdb_last_bgsave_status:${isDone}`));
    };
    const faults: readonly Fault[] = [
      {
        name: 'its memory is full',
        said: /OOM .*its memory is full: raise maxmemory/,
        begin: () => server.send('CONFIG', 'SET', 'maxmemory', '1'),
        end: () => server.send('CONFIG', 'SET', 'maxmemory', '0'),
      },
      {
        name: 'it has become a replica',
        said: /READONLY .*it is a replica: give the URL of the primary/,
        begin: async () => server.send('REPLICAOF', '127.0.0.1', String(await freePort())),
        end: () => server.send('REPLICAOF', 'NO', 'ONE'),
      },
      {
        name: 'its disk is full',
        said: /MISCONF .*it cannot write to its disk: make room there/,
        begin: async () => {
          await server.send('CONFIG', 'SET', 'save', '3600 1');
          await server.send('SET', 'large', 'x'.repeat(100_000));
          disk.fill();
          await saved('err');
        },
        end: async () => {
          disk.free();
          await saved('ok');
          await server.send('CONFIG', 'SET', 'save', '');
        },
      },
    ];

    for (const [at, { name, said, begin, end }] of faults.entries()) {
      test(`${name}: it is said with what to do, the node goes on without, and Redis gets all of it afterwards`, async () => {
        const place = {
          url: server.url.replace('//', `//:${encodeURIComponent(server.password)}@`),
        };
        const [life, shared] = [await lifecycle(place), await nonces(place)];
        life.put(`before-${at}`);
        await expect.poll(() => tried('EXISTS', `anomaly:before-${at}`), PATIENCE).toBe(1);
        await expect.poll(() => shared.text(), PATIENCE).toMatch(/nonces are shared/);
        await begin();
        life.put(`during-${at}`);
        expect(await shared.claim(`during-${at}`)).toEqual([]);
        await expect.poll(life.text, PATIENCE).toMatch(said);
        expect(life.text()).toMatch(/not written to Redis now: it goes on in the own store/);
        expect(shared.text()).toMatch(said);
        await end();
        await expect.poll(() => tried('EXISTS', `anomaly:during-${at}`), PATIENCE).toBe(1);
        await shared.claim(`after-${at}`);
        await expect.poll(() => tried('EXISTS', `nonce:v1:during-${at}`), PATIENCE).toBe(1);
        await life.close();
        shared.close();
      });
    }
  },
);

describe.skipIf(!hasRedis || programOf('openssl') === undefined)(
  'Redis over TLS (needs redis-server and openssl)',
  () => {
    test('a certificate that nobody vouches for is refused by name, with what to do', async () => {
      const port = String(await freePort());
      const { ca, keystore } = await makeCertificates(freshFolder());
      const tls = ['--tls-cert-file', keystore, '--tls-key-file', keystore];
      const more = [
        '--tls-port',
        port,
        ...tls,
        '--tls-ca-cert-file',
        ca,
        '--tls-auth-clients',
        'no',
      ];
      const server = await redisServer(false, { more });
      const place = { url: `rediss://:${encodeURIComponent(server.password)}@localhost:${port}` };
      const life = await lifecycle(place);
      await expect.poll(life.text, PATIENCE).toMatch(/certificate is not trusted: .*NODE_EXTRA_CA/);
      expect(life.text()).not.toContain(encodeURIComponent(server.password));
      await life.close();
      await server.close();
    }, 60_000);
  },
);
