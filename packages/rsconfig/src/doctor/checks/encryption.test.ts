// Tests the findings of doctor about encryption: each path with its cipher or the reason why it is plain, and both kinds of mismatch.
// Integration tests use real servers with each setting.

import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { describe, expect, test } from 'vitest';
import { doctorFacts, fileFacts, pathFacts, report, SAMPLE } from '../../testing/facts.ts';
import { rep } from '../../testing/views.ts';
import { diagnose } from './checks.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, formatFindings } from '../gather/finding.ts';

const CIPHER = 'TLS_AES_128_GCM_SHA256';
const ON = SAMPLE.replace('namespaceid', 'tls = on\nnamespaceid');
const ALL_ON = SAMPLE.replace('[defaults]\n', '[defaults]\ntls = on\n');

/**
 * Facts about the path if0. `probed`, `own`: the ciphers of the probe and of rsiod's connection; `own` is undefined if rsiod is not
 * running.
 */
function facts(file: string, probed: string | null, own?: string | null): DoctorFacts {
  const base = doctorFacts({ file: fileFacts(file), paths: [pathFacts(0, { report: report({ cipher: probed }) })] });
  const { status } = base.daemon;
  const [first, second] = status!.interfaces;
  const reps = [rep({ address: '192.168.45.10', cipher: own ?? null, tls: file !== SAMPLE })];
  const daemon =
    own === undefined
      ? { ...base.daemon, status: null }
      : { ...base.daemon, status: { ...status!, interfaces: [{ ...first!, reps }, second!] } };
  return { ...base, daemon };
}

function found(all: DoctorFacts): Finding[] {
  return diagnose(all).filter(({ check }) => check === 'encryption');
}

test.each([
  ['encrypted', ON, CIPHER, CIPHER, `Encrypted with ${CIPHER}`],
  ['encrypted, while rsiod is not running', ALL_ON, CIPHER, undefined, `Encrypted with ${CIPHER}`],
  ['plain', SAMPLE, null, null, 'Not encrypted: namespace osl (/etc/rscltcfg:11) does not have tls = on'],
  ['plain, as the namespace says', ON.replace('= on', '= off'), null, null, 'Not encrypted: /etc/rscltcfg:12 has tls = off'],
  ['plain, as [defaults] says', ALL_ON.replace('= on', '= off'), null, null, 'Not encrypted: /etc/rscltcfg:2 has tls = off'],
])('%s', (_what, file, probed, own, what) => {
  expect(found(facts(file, probed, own))).toEqual([
    expect.objectContaining({ severity: 'ok', object: 'path if0 -> 192.168.45.10/5000', what }),
  ]);
});

test('A connection of rsiod that is older than the setting is a warning, in both directions', () => {
  expect(found(facts(ON, CIPHER, null))).toMatchObject([
    {
      severity: 'warning',
      what: "rsiod's connection is plain, because it is older than tls = on of namespace osl",
      commands: ['rsconfig -m status -v'],
    },
  ]);
  expect(found(facts(SAMPLE, null, CIPHER))).toMatchObject([
    { severity: 'warning', what: expect.stringContaining('is encrypted, because it is older') },
  ]);
});

test('A path that was not proved has no finding here', () => {
  const server = { ...report().server!, isProved: false };
  const paths = [pathFacts(0, { report: report({ server }) }), pathFacts(1, { report: null })];
  expect(found(doctorFacts({ paths }))).toEqual([]);
});

describe('A mismatch names the lines of both sides, once for all paths:', () => {
  const refusal = (failure: string, server: ProbeReport['server']) => report({ failure, failureCode: 'E_TLS', server, roundTripMs: null });
  const faults = (file: string, one: ReturnType<typeof report>) =>
    diagnose(doctorFacts({ file: fileFacts(file), paths: [pathFacts(0, { report: one }), pathFacts(1, { report: one })] })).filter(
      ({ check }) => check === 'proof',
    );

  test('the server demands encryption', () => {
    const failure = 'Server refused the connection: Server big-9 accepts encrypted connections only: set tls = on';
    const all = faults(SAMPLE, refusal(failure, null));
    expect(formatFindings(all)).toBe(
      `error: path if0 -> 192.168.45.10/5000: Server refused the connection: Server big-9 accepts encrypted connections only
    where:  /etc/rscltcfg:11
    remedy: set tls = on in section [namespace osl] here, or set tls = allow in section [namespace] of its rssrvcfg (there: rsadm namespace set tls=allow)
        rsconfig namespace set osl tls=on --reload
1 error, 0 warnings, 0 ok
`,
    );
  });

  test('the client demands encryption', () => {
    const server = { ...report().server!, isProved: false, interfaces: null };
    const all = faults(ON, refusal('Server big-9 does not encrypt, and this client insists on TLS: set tls = allow', server));
    expect(all).toMatchObject([
      {
        object: 'server big-9',
        where: '/etc/rscltcfg:12',
        remedy:
          'set tls = allow in section [namespace] of its rssrvcfg (there: rsadm namespace set tls=allow), or tls = off in section [namespace osl] here',
      },
    ]);
  });
});
