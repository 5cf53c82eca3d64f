// Implements `rsconfig support`: the parts of the archive that are about rsiod and rsapp. packages/api makes the archive.

import { hostname } from 'node:os';
import type { SupportPart } from '@rsio/api/manage/support/archive';
import { SUPPORT_VOLUMES_MAX } from '@rsio/api/manage/support/limits';
import { SUPPORT_COMMAND } from '@rsio/api/manage/support/support-command';
import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { examineRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { type CommandContext, defineCommand } from '../../cli/context.ts';
import { formatFindings } from '../../doctor/gather/finding.ts';

export const SUPPORT = defineCommand({
  ...SUPPORT_COMMAND,
  run: async (context, given) => {
    // Only this command loads these modules.
    const [{ machineParts }, { answerParts, fileForSupport, logPart, metricsPart }, { runSupport }] = await Promise.all([
      import('@rsio/api/manage/support/machine-parts'),
      import('@rsio/api/manage/support/daemon-parts'),
      import('@rsio/api/manage/support/support-run'),
    ]);
    const { clock, paths, call, callApp } = context;
    const { part, secrets, config } = fileForSupport(context.configFile, SCHEMA.rscltcfg, examineRscltConfig);
    // Most machines have no applications, and run no rsapp.
    const appParts = [
      ...answerParts(
        'applications',
        APP_METHODS,
        ({ effect }) => effect === 'reads',
        (method) => callApp(method, {} as never),
      ),
      logPart('rsapp', daemonPaths(paths.root, 'rsapp'), clock, secrets),
    ];
    const parts = [
      ...machineParts(clock, paths.pidFile, async () => (await call('daemon', {})).version),
      part,
      ...answerParts(
        'state',
        CONTROL_METHODS,
        ({ effect }) => effect === 'reads',
        (method) => call(method, {} as never),
      ),
      notesPart(context),
      ...(config?.applications.length === 0 ? [] : appParts),
      doctorPart(context),
      logPart('rsiod', paths, clock, secrets),
      metricsPart(config === null ? undefined : config.metrics),
    ];
    return runSupport(context, given, { host: hostname(), parts, secrets: secrets ?? [] });
  },
});

function notesPart({ call }: CommandContext): SupportPart {
  return {
    file: 'state/volume-notes.json',
    about: `The notes at the first ${SUPPORT_VOLUMES_MAX} attached volumes`,
    collect: async (signal) => {
      const { attachments } = await call('local', {});
      const labels = attachments.slice(0, SUPPORT_VOLUMES_MAX).map(({ namespace, name, universe }) => `${namespace}:${name}@${universe}`);
      const notes = [];
      for (const volume of labels) if (!signal.aborted) notes.push(await call('volume-note', { volume, fresh: false }));
      return `${JSON.stringify(notes, null, 2)}\n`;
    },
  };
}

function doctorPart(context: CommandContext): SupportPart {
  return {
    file: 'doctor.txt',
    about: 'The findings of rsconfig doctor',
    isSlow: true,
    collect: async () => {
      const [{ gatherFacts }, { diagnose }] = await Promise.all([
        import('../../doctor/gather/gather.ts'),
        import('../../doctor/checks/checks.ts'),
      ]);
      return formatFindings(diagnose(await gatherFacts({ ...context, note: () => undefined })));
    },
  };
}
