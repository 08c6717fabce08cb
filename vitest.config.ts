import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/kit/longest-first.ts';

/** Tests that start whole systems, on ports and in folders of their own, with patience: they keep two cores busy. */
const INTEGRATION = 'test/integration/**/*.test.ts';

/** Tests of firewalls with real packets and the kernel's clock: beside the unit tests, because whole nodes would make them late. */
const FIREWALLS = 'test/integration/firewall/**/*.test.ts';

/** Where temporary files go, and that they go. */
const TEMPORARY = 'test/kit/temporary.ts';

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [INTEGRATION],
          pool: 'forks',
          globalSetup: TEMPORARY,
          // Many of them wait for something most of the time.
          maxWorkers: 3,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'firewalls',
          include: [FIREWALLS],
          pool: 'forks',
          globalSetup: TEMPORARY,
          maxWorkers: 3,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: [INTEGRATION],
          exclude: [FIREWALLS],
          pool: 'forks',
          globalSetup: TEMPORARY,
          maxWorkers: 3,
          testTimeout: 300_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
