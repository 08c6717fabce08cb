/** A certificate authority for tests, and a certificate for this machine that it signed. Made by openssl. */
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
};

const authority = async (folder: string, name: string): Promise<string> => {
  const cert = path.join(folder, `${name}.pem`);
  const key = ['-newkey', 'rsa:2048', '-noenc', '-keyout', path.join(folder, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-days', DAYS];
  await run('openssl', ['req', '-x509', ...key, ...subject, '-out', cert]);
  return cert;
};

/** Makes them under `folder`, or finds the ones of the last time. */
export const makeCertificates = async (folder: string): Promise<Certificates> => {
  const at = (name: string): string => path.join(folder, name);
  const keystore = at('server.pem');
  if (existsSync(keystore)) return { ca: at('ca.pem'), otherCa: at('other.pem'), keystore };
  const ca = await authority(folder, 'ca');
  const otherCa = await authority(folder, 'other');
  const key = ['-newkey', 'rsa:2048', '-noenc', '-keyout', at('server.key')];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  await run('openssl', ['req', ...key, '-subj', '/CN=localhost', ...names, '-out', at('csr')]);
  const signing = [
    '-CA',
    ca,
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-copy_extensions',
    'copy',
  ];
  const days = ['-days', DAYS, '-out', at('server.crt')];
  await run('openssl', ['x509', '-req', '-in', at('csr'), ...signing, ...days]);
  const parts = [at('server.key'), at('server.crt')].map((one) => readFileSync(one, 'utf8'));
  writeFileSync(keystore, parts.join(''), { mode: 0o600 });
  return { ca, otherCa, keystore };
};
