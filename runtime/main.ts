/** What the launcher starts: one command, and the exit code that it resolves to. */
import { keepCompiled } from './cli/compiled.ts';

const launched = process.env.PINNED_NODE !== undefined;
// Of no concern to whatever we start ourselves.
delete process.env.PINNED_NODE;

// The launcher was killed and could not tell: without it nobody can stop us, so go at once.
if (launched && process.channel !== undefined) {
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.channel?.unref();
}

// `node runtime tree | head`: the reader has gone, which is no failure of ours.
process.stdout.on('error', (fault: NodeJS.ErrnoException) => {
  if (fault.code === 'EPIPE') process.exit(0);
  process.stderr.write(`error: standard output cannot be written (${fault.code})\n`);
  process.exit(1);
});

keepCompiled(process.env);
// Only what is loaded from here on is kept.
const { main } = await import('./cli/dispatch.ts');
process.exit(await main(process.argv.slice(2), { out: process.stdout, err: process.stderr }));
