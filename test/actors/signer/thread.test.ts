import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { config as busConfig } from '#actors/bus/config.ts';
import { config } from '#actors/signer/config.ts';
import { writeKeyPair } from '#native/crypto.ts';
import { actor, testSystem } from '#test/kit/system.ts';

const module = (name: string): URL => new URL(`../../../actors/${name}/actor.ts`, import.meta.url);
const fixture = (name: string): URL => new URL(`./fixtures/${name}.ts`, import.meta.url);
const DETECTIONS = 60;
const PER_SECOND = 20;

test('killed in the middle of its work the signer loses nothing and the topic holds each once or as the same bytes', async () => {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'signer-system-'));
  mkdirSync(path.join(dataDir, 'keys'));
  writeKeyPair(path.join(dataDir, 'keys', 'detector.pem'));
  const settings = config.parse({ perSecondMax: PER_SECOND });
  const system = await testSystem(
    [
      actor('bus', module('bus'), { config: busConfig.parse({}) }),
      actor('feedback', fixture('counting-feedback')),
      actor('signer', module('signer'), { config: settings, shutdownMs: 4_000 }),
      actor('ensemble', fixture('telling-ensemble'), { config: { detections: DETECTIONS } }),
    ],
    { dataDir },
  );
  const answered = () => Number(system.fact('ensemble', 'answered') ?? 0);
  for (const at of [5, 25, 45]) {
    await system.until(() => answered() >= at, 20_000);
    await system.kill('signer');
  }
  await system.until(() => answered() === DETECTIONS, 30_000);
  expect(await system.until(() => system.fact('feedback', 'contents'), 5_000)).toBe(
    String(DETECTIONS),
  );
  expect(await system.until(() => system.fact('feedback', 'nonces'), 5_000)).toBe(
    String(DETECTIONS),
  );
  const { late } = await system.end();
  expect(late).toEqual([]);
  rmSync(dataDir, { recursive: true });
}, 60_000);
