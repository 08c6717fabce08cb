/** The command line within the process of a test: what it prints and its exit code, without a start of Node. */
import { main } from '#runtime/cli/dispatch.ts';

export type Printed = { readonly code: number; readonly out: string; readonly err: string };

export const commandLine = async (...args: readonly string[]): Promise<Printed> => {
  let [out, err] = ['', ''];
  const code = await main(args, {
    out: {
      write: (text) => {
        out += text;
      },
    },
    err: {
      write: (text) => {
        err += text;
      },
    },
  });
  return { code, out, err };
};
