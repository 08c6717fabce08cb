import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/kit/longest-first.ts';

/** Tests that start whole systems, on ports and in folders of their own, with patience: they keep two cores busy. */
const INTEGRATION = 'test/integration/**/*.test.ts';

/** Tests of firewalls with real packets and the kernel's clock: beside the unit tests, because whole nodes would make them late. */
const FIREWALLS = 'test/integration/firewall/**/*.test.ts';

/** Where temporary files go, and that they go. */
const TEMPORARY = 'test/kit/temporary.ts';

const COMMON = {
  pool: 'forks',
  globalSetup: TEMPORARY,
  // Of three files one waits for something most of the time. One number for all: those of a group have to agree.
  maxWorkers: 3,
} as const;
/** Whole systems and kernels take their time on a busy machine. */
const PATIENT = { ...COMMON, testTimeout: 300_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...COMMON,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [INTEGRATION],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      { test: { ...PATIENT, name: 'firewalls', include: [FIREWALLS] } },
      {
        test: {
          ...PATIENT,
          name: 'integration',
          include: [INTEGRATION],
          exclude: [FIREWALLS],
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
