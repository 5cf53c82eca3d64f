// Builds the page of a form, with the title, the actions (F7) and the help (F1). The help on fields comes from the schema. form-view.ts
// draws the fields.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import type { FormPurpose } from '../model/command.ts';
import type { Choice, FormScreen } from '../model/state.ts';
import { type Field, focused } from '../model/form.ts';
import { KEYS_HELP, MIRRORS_HELP } from './help-text.ts';
import type { HelpText, Page } from './page.ts';

export function formPage({ form, purpose }: FormScreen): Page {
  const here = focused(form);
  return {
    title: form.title,
    rows: [],
    actions: actionsFor(purpose),
    hint: '',
    help: here.kind === 'field' ? fieldHelp(here.field) : { title: form.title, text: `${sectionHelp(purpose)}${KEYS_HELP}` },
  };
}

const APPLY: { readonly [K in FormPurpose['kind']]?: string } = { explore: 'Explore now', mirror: 'Create mirror' };

function actionsFor(purpose: FormPurpose): readonly Choice[] {
  const own: readonly Choice[] = [
    { label: APPLY[purpose.kind] ?? 'Apply', command: { do: 'accept-form' } },
    { label: 'Discard', command: { do: 'drop-form' } },
  ];
  switch (purpose.kind) {
    case 'namespace':
      return [
        ...(purpose.name === null
          ? [
              {
                label: 'Find NEW Namespace',
                command: { do: 'find-namespace', request: { address: null, port: null, namespacekey: null } },
              } as const,
            ]
          : []),
        { label: 'Find New Namespace Servers', command: { do: 'find-servers' } },
        ...own,
      ];
    case 'interface':
      return [{ label: 'Rescan the interfaces of this machine', command: { do: 'look-at-machine' } }, ...own];
    case 'server':
    case 'defaults':
    case 'explore':
    case 'mirror':
      return own;
  }
}

function fieldHelp({ key, entry }: Field): HelpText {
  const needed = entry.isRequired ? 'Required.' : entry.default === null ? 'Optional.' : `Default: ${entry.default}.`;
  return { title: key, text: `${entry.help}.\n\nAllowed: ${entry.type.allowed}.\n\n${needed}` };
}

function sectionHelp(purpose: FormPurpose): string {
  if (purpose.kind === 'mirror') return `${MIRRORS_HELP}\n\n`;
  return purpose.kind === 'explore' ? '' : `[${purpose.kind}]: ${SCHEMA.rscltcfg[purpose.kind].help}.\n\n`;
}
