/** Agents of a test that enforce nothing, in a folder and at a time of its own; both end with the test. */
import path from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { EnforcerConfig } from '#actors/enforcer/config.ts';
import type { PolicyView } from '#actors/enforcer/registry.ts';
import { writeKeyPair } from '#native/crypto.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { type Agent, agentIn } from '../../integration/firewall/agent.ts';
import { genesis } from './policies.ts';

export type Home = {
  /** The folder of the test that runs. */
  readonly path: string;
  /** What agents take for now, Unix ms; a test moves it on. */
  nowMs: number;
  /** Starts one, in the folder of the test unless it gives another one. */
  readonly begin: (settings?: Partial<EnforcerConfig>, dataDir?: string) => Promise<Agent>;
  /** Stops all that run, in order. */
  readonly end: () => Promise<void>;
};

/** To be called where a file of tests begins: every test has a new folder, and begins at `startMs`. */
export const agentHome = (startMs: number): Home => {
  let folder: ReturnType<typeof temporaryFolder>;
  const open: Agent[] = [];
  const home: Home = {
    get path() {
      return folder.path;
    },
    nowMs: startMs,
    begin: async (settings = {}, dataDir = folder.path) => {
      const agent = await agentIn({
        dataDir,
        genesis,
        keyFile: path.join(folder.path, 'agent.pem'),
        netns: '',
        now: () => home.nowMs,
        settings: { backend: 'noop', ...settings },
      });
      open.push(agent);
      return agent;
    },
    end: async () => {
      for (const agent of open.splice(0)) await agent.close();
    },
  };
  beforeEach(() => {
    folder = temporaryFolder();
    writeKeyPair(path.join(folder.path, 'agent.pem'));
    home.nowMs = startMs;
  });
  afterEach(async () => {
    await home.end();
    folder.remove();
  });
  return home;
};

/** What an agent says of its policies. */
export const viewsOf = async (agent: Agent): Promise<readonly PolicyView[]> => {
  await agent.tell({ kind: 'list', activeOnly: false, limit: 100, replyTo: 0 as never });
  const [answer] = agent.replies() as readonly { readonly policies: Uint8Array }[];
  return JSON.parse(new TextDecoder().decode(answer?.policies));
};
