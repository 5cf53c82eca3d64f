// Compares every path below a root with its literal text.
// No test here touches the disk.

import { expect, test } from 'vitest';
import { normalizeRoot, rsiodPaths, rssrvPaths } from './root-paths.ts';

test.each(['', '/', '//', '/tmp/..'])('root %j is the real one', (root) => {
  expect(normalizeRoot(root)).toBe('');
  expect(rssrvPaths(root)).toEqual({
    root: '',
    configFile: '/etc/dvsc/rssrvcfg',
    runDir: '/run/rsio/rssrv',
    controlSocket: '/run/rsio/rssrv/control',
    groupSockets: {
      reader: '/run/rsio/rssrv/control-read',
      operator: '/run/rsio/rssrv/control-operate',
      administrator: '/run/rsio/rssrv/control-admin',
    },
    pidFile: '/run/rsio/rssrv/pid',
    logDir: '/var/log/rsio',
    logFile: '/var/log/rsio/rssrv.log',
    stateDir: '/var/lib/rsio/rssrv',
    eventsFile: '/var/lib/rsio/rssrv/events.jsonl',
    devDir: '/dev',
    volumesFile: '/var/lib/rsio/rssrv/volumes.json',
    poolsFile: '/var/lib/rsio/rssrv/pools.json',
    pacesFile: '/var/lib/rsio/rssrv/paces.json',
    requestsFile: '/var/lib/rsio/rssrv/requests.journal',
    auditDir: '/var/lib/rsio/rssrv/audit',
    namespaceFile: '/var/lib/rsio/rssrv/namespace.json',
    jobsFile: '/var/lib/rsio/rssrv/jobs.json',
    holdersFile: '/var/lib/rsio/rssrv/holders.json',
    fencesFile: '/var/lib/rsio/rssrv/fences.json',
    haltsFile: '/var/lib/rsio/rssrv/halts.json',
    votersDir: '/var/lib/rsio/rssrv/voters',
    recordsFile: '/run/rsio/rssrv/records.json',
    memoryDir: `/dev/shm/rsio-${process.geteuid?.()}`,
  });
});

test.each(['/tmp/r', '/tmp/r/', '/tmp//x/../r'])('everything of rsiod is below %j', (root) => {
  expect(rsiodPaths(root)).toEqual({
    root: '/tmp/r',
    configFile: '/tmp/r/etc/rscltcfg',
    runDir: '/tmp/r/run/rsio/rsiod',
    controlSocket: '/tmp/r/run/rsio/rsiod/control',
    pidFile: '/tmp/r/run/rsio/rsiod/pid',
    logDir: '/tmp/r/var/log/rsio',
    logFile: '/tmp/r/var/log/rsio/rsiod.log',
    stateDir: '/tmp/r/var/lib/rsio/rsiod',
    eventsFile: '/tmp/r/var/lib/rsio/rsiod/events.jsonl',
    devDir: '/tmp/r/dev',
    nbdSocket: '/tmp/r/run/rsio/rsiod/nbd',
    attachedFile: '/tmp/r/run/rsio/rsiod/attached.json',
    mountsFile: '/tmp/r/run/rsio/rsiod/mounts.json',
    gatesFile: '/tmp/r/var/lib/rsio/rsiod/gates.json',
    aoeFile: '/tmp/r/var/lib/rsio/rsiod/aoe.json',
    serversFile: '/tmp/r/var/lib/rsio/rsiod/servers.json',
  });
});

test('A relative root is taken from the current directory', () => {
  expect(normalizeRoot('r')).toBe(`${process.cwd()}/r`);
});
