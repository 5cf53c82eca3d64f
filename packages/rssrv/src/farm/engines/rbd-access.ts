// Determines how the programs that the server starts reach Ceph: with the user and the configuration of ceph(8), which CEPH_CONF and
// CEPH_ARGS override. Invariant: all clients of a pool use the same user, the same configuration and the same options.

import { basename } from 'node:path';

export interface CephAccess {
  /** Name of the user without `client.`. */
  readonly user: string;
  /** Path of the configuration file. */
  readonly conf: string;
  /** The other options in CEPH_ARGS, as lines of a configuration file. */
  readonly options: readonly string[];
  /** Environment for programs. */
  readonly environment: Readonly<Record<string, string>>;
}

const DEFAULT_CONF = '/etc/ceph/ceph.conf';

/** Reads the access from the environment of rssrv. Options that only ceph(8) itself uses, such as `--format`, do no harm. */
export function cephAccess(environment: Readonly<Record<string, string | undefined>>): CephAccess {
  const words = (environment['CEPH_ARGS'] ?? '').split(/\s+/).filter((word) => word !== '');
  let [user, conf] = ['admin', environment['CEPH_CONF'] ?? DEFAULT_CONF];
  const options: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const [name, inline] = splitOnce(words[index] ?? '');
    if (!name.startsWith('-')) continue;
    const after = words[index + 1] ?? '-';
    const value = inline ?? (after.startsWith('-') ? 'true' : after);
    if (name === '--id' || name === '--user' || name === '-i') user = value;
    else if (name === '-n' || name === '--name') user = value.replace(/^client\./, '');
    else if (name === '-c' || name === '--conf') conf = value;
    else if (name === '--cluster') conf = environment['CEPH_CONF'] ?? `/etc/ceph/${value}.conf`;
    else options.push(`${name.replace(/^-+/, '').replaceAll('-', '_')} = ${value}`);
  }
  const passed = Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return { user, conf, options, environment: { ...Object.fromEntries(passed), LC_ALL: 'C' } };
}

/**
 * Returns the file name of `conf`. The file with the text of `confWith` must have the same name, because librados derives the name of the
 * cluster from it, and the default paths of keyrings contain this name.
 */
export function confName({ conf }: CephAccess): string {
  return basename(conf);
}

/** Returns the configuration with an additional section for this user. The last section of a user overrides all earlier ones. */
export function confWith(text: string, { user, options }: CephAccess, lines: readonly string[]): string {
  return `${text}\n[client.${user}]\n${[...options, ...lines].join('\n')}\n`;
}

function splitOnce(word: string): readonly [string, string | undefined] {
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
