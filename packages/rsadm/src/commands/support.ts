// Implements `rsadm support`: the parts of the archive that are about rssrv. packages/api makes the archive.

import type { SupportPart } from '@rsio/api/manage/support/archive';
import { SUPPORT_VOLUMES_MAX } from '@rsio/api/manage/support/limits';
import { SUPPORT_COMMAND } from '@rsio/api/manage/support/support-command';
import { AUDIT_ENTRIES_MAX } from '@rsio/api/rssrv/audit-methods';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { examineRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { type AdmContext, defineCommand } from '../cli/context.ts';

export const SUPPORT = defineCommand({
  ...SUPPORT_COMMAND,
  run: async (context, given) => {
    // Only this command loads these modules.
    const [{ machineParts }, { answerParts, fileForSupport, logPart, metricsPart }, { runSupport }] = await Promise.all([
      import('@rsio/api/manage/support/machine-parts'),
      import('@rsio/api/manage/support/daemon-parts'),
      import('@rsio/api/manage/support/support-run'),
    ]);
    const paths = daemonPaths(context.root, 'rssrv');
    const { part, secrets, config } = fileForSupport(context.configFile, SCHEMA.rssrvcfg, examineRssrvConfig);
    const parts = [
      ...machineParts(context.clock, paths.pidFile, async () => (await context.call('daemon', {})).version),
      part,
      ...answerParts(
        'state',
        SERVER_METHODS,
        ({ repeats }) => repeats === null,
        (method) => context.call(method, (method === 'audit' ? { limit: AUDIT_ENTRIES_MAX } : {}) as never),
      ),
      snapshotsPart(context),
      logPart('rssrv', paths, context.clock, secrets),
      metricsPart(config === null ? undefined : config.server.metrics),
    ];
    return runSupport(context, given, { host: context.machine.hostName, parts, secrets: secrets ?? [] });
  },
});

function snapshotsPart({ call }: AdmContext): SupportPart {
  return {
    file: 'state/snapshots.json',
    about: `The snapshots of at most ${SUPPORT_VOLUMES_MAX} volumes`,
    collect: async (signal) => {
      const { volumes } = await call('volume-list', { pool: null });
      const shown = [];
      for (const { name, universe, snapshots } of volumes)
        if (snapshots > 0 && shown.length < SUPPORT_VOLUMES_MAX && !signal.aborted)
          shown.push(await call('volume-show', { name, universe }));
      return `${JSON.stringify(shown, null, 2)}\n`;
    },
  };
}
