import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { command } from '#runtime/cli/check.ts';
import { terminal } from '#runtime/cli/terminal.ts';

const deep = `genesis: { create: true }
supervise:
  intensity: { restarts: 20, periodS: 10 }
  children:
    - name: group
      intensity: { restarts: 20, periodS: 10 }
      children:
        - { name: bus, actor: bus }
`;

const check = async (json: boolean): Promise<{ code: number; out: string; err: string }> => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-check-'));
  const file = path.join(folder, 'deep.yaml');
  writeFileSync(file, deep);
  let [out, err] = ['', ''];
  const streams = {
    out: { write: (text: string) => (out += text) },
    err: { write: (text: string) => (err += text) },
  };
  try {
    const code = await command.run([file], terminal(streams, json));
    return { code, out, err };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test('check warns of intensities that multiply on standard error, and is content', async () => {
  const { code, out, err } = await check(false);
  expect(code).toBe(0);
  expect(out).toContain('deep.yaml: ok, 1 actors on 1 threads');
  expect(err).toMatch(/deep\.yaml:6:\d+ group\.intensity\.restarts: warning: intensities multiply/);
});

test('with -o json the warnings stand beside the errors, each with its place', async () => {
  const { code, out, err } = await check(true);
  expect([code, err]).toEqual([0, '']);
  expect(JSON.parse(out)).toMatchObject({
    ok: true,
    errors: [],
    warnings: [{ line: 6, path: 'group.intensity.restarts' }],
  });
});
