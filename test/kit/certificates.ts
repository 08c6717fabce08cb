/** A certificate authority for tests, and what it signed: this machine as a server, and a client. Made by openssl. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DAYS = '30';

export type Certificates = {
  /** Certificate of the authority, PEM file. */
  readonly ca: string;
  /** Certificate of another authority, which signed nothing. */
  readonly otherCa: string;
  /** Private key and certificate of the server in one PEM file. */
  readonly keystore: string;
  /** Certificate and private key of a client, PEM files. */
  readonly client: { readonly cert: string; readonly key: string };
};

const authority = async (folder: string, name: string): Promise<string> => {
  const cert = path.join(folder, `${name}.pem`);
  const key = ['-newkey', 'rsa:2048', '-noenc', '-keyout', path.join(folder, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-days', DAYS];
  await run('openssl', ['req', '-x509', ...key, ...subject, '-out', cert]);
  return cert;
};

/** `<name>.crt` with `<name>.key`, signed by the authority `ca`. */
const signed = async (folder: string, name: string, subject: readonly string[]): Promise<void> => {
  const at = (file: string): string => path.join(folder, file);
  const key = ['-newkey', 'rsa:2048', '-noenc', '-keyout', at(`${name}.key`)];
  const request = at(`${name}.csr`);
  await run('openssl', ['req', ...key, ...subject, '-out', request]);
  const signing = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
  const given = ['-copy_extensions', 'copy', '-days', DAYS, '-out', at(`${name}.crt`)];
  await run('openssl', ['x509', '-req', '-in', request, ...signing, ...given]);
};

/** Makes them under `folder`, or finds the ones of the last time. */
export const makeCertificates = async (folder: string): Promise<Certificates> => {
  const at = (name: string): string => path.join(folder, name);
  const keystore = at('server.pem');
  const client = { cert: at('client.crt'), key: at('client.key') };
  const made = { ca: at('ca.pem'), otherCa: at('other.pem'), keystore, client };
  if (existsSync(keystore) && existsSync(client.cert)) return made;
  await authority(folder, 'ca');
  await authority(folder, 'other');
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  await signed(folder, 'server', ['-subj', '/CN=localhost', ...names]);
  await signed(folder, 'client', ['-subj', '/CN=cybermesh']);
  const parts = [at('server.key'), at('server.crt')].map((one) => readFileSync(one, 'utf8'));
  writeFileSync(keystore, parts.join(''), { mode: 0o600 });
  return made;
};
