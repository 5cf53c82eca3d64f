// Reads the files that /etc/rswebcfg names: certificate, key, and the tokens for other machines. Invariant: a message names the file but
// never contains any of its content.

import { X509Certificate } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { PEM_MAX_BYTES, TOKEN_FILE_MAX_BYTES, WEB_TOKEN_MAX_CHARS } from '../limits.ts';
import type { WebConfig } from './rswebcfg.ts';

/** A certificate and its private key, as the texts of PEM files. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

export interface ServerIdentity {
  readonly credentials: Credentials;
  /** Names in the certificate, in lower case; a name may begin with `*.`. */
  readonly names: readonly string[];
  readonly notAfterMs: number;
}

/**
 * Reads the certificate and its key. Returns null if no certificate is configured. Throws E_CONFIG if the certificate or the key cannot be
 * used.
 */
export function serverIdentity({ certificate, file }: WebConfig): ServerIdentity | null {
  if (certificate === null) return null;
  const { certificateFile, keyFile } = certificate;
  const cert = readText(certificateFile, PEM_MAX_BYTES, 'certificate');
  const key = readText(keyFile, PEM_MAX_BYTES, 'key');
  try {
    createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
    const { subjectAltName = '', validTo } = new X509Certificate(cert);
    return { credentials: { cert, key }, names: namesIn(subjectAltName), notAfterMs: Date.parse(validTo) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const remedy = 'both have to be PEM files, and the key has to be the one of the certificate, without a passphrase';
    throw new RsError('E_CONFIG', `${file}: Certificate ${certificateFile} and key ${keyFile} cannot be used (${why}): ${remedy}`, {
      certificateFile,
      keyFile,
    });
  }
}

/** Returns the DNS names in a subjectAltName such as `DNS:big-9, IP Address:10.0.0.1`. */
export function namesIn(subjectAltName: string): string[] {
  const names = subjectAltName.split(/,\s*/).map((entry) => /^DNS:([a-z0-9_.*-]+)$/i.exec(entry)?.[1]?.toLowerCase());
  return names.filter((name) => name !== undefined);
}

function readText(file: string, maxBytes: number, what: string): string {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK prevents openSync from blocking on a FIFO.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.size > maxBytes) {
      throw new RsError('E_CONFIG', `The ${what} ${file} is no file of at most ${maxBytes} bytes: correct its path`, { file });
    }
    return readFileSync(descriptor, 'utf8');
  } catch (thrown) {
    if (thrown instanceof RsError) throw thrown;
    const remedy = 'correct its path, or let the user of rsweb read it';
    throw new RsError(
      'E_CONFIG',
      `The ${what} ${file} cannot be read (${errnoName(thrown) ?? String(thrown)}): ${remedy}`,
      { file },
      thrown,
    );
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
/** Reads the token in a file. Throws E_CONFIG if the file cannot be used. */
export function readToken(file: string): string {
  const text = readText(file, TOKEN_FILE_MAX_BYTES, 'token-file').trim();
  if (/^[\x21-\x7e]+$/.test(text) && text.length <= WEB_TOKEN_MAX_CHARS) return text;
  throw new RsError('E_CONFIG', `The token-file ${file} contains no token: it has to be one line of printable ASCII characters`, { file });
}

/** Returns certificates as PEM text. Throws E_CONFIG if the file cannot be read. */
export function readCertificateAuthority(file: string): string {
  return readText(file, PEM_MAX_BYTES, 'certificate-authority');
}
