// Checks whether the groups and the user in rssrvcfg (control-group, user) exist on this machine, and whether the programs of the triggers
// in rssrvcfg are safe. The parser does not check them, because it reads only the configuration file. Invariant: at start, on reload and
// for a command, rssrv checks every configuration before applying it.

import { GROUP_FILE, groupId, groupMissingText } from '@rsio/base/files/groups';
import { USER_FILE, userNamed } from '@rsio/base/files/users';
import { type ConfigProblem, throwProblems } from './reader/findings.ts';
import { LOCAL_ROLE_WORDS, LOCAL_ROLES } from './schema/local-roles.ts';
import type { RssrvConfig } from './schema/types.ts';
import { triggerProblems } from './trigger-programs.ts';

/** Returns the problems of the groups, of the user and of the programs, each at its line. */
export function controlGroupProblems(
  {
    server: { groups, user },
    triggers = [],
  }: { readonly server: Pick<RssrvConfig['server'], 'groups' | 'user'>; readonly triggers?: RssrvConfig['triggers'] },
  groupFile = GROUP_FILE,
  userFile = USER_FILE,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const role of LOCAL_ROLES) {
    const group = groups[role];
    if (group !== null && groupId(group.name, groupFile) === undefined)
      problems.push({ line: group.line, message: groupMissingText(LOCAL_ROLE_WORDS[role].key, group.name, groupFile) });
  }
  const found = user === null ? undefined : userNamed(user.name, userFile);
  if (user !== null && found === undefined)
    problems.push({ line: user.line, message: `user ${user.name} is not in ${userFile}: create the user, or set user to another one` });
  if (user !== null && found?.uid === 0)
    problems.push({ line: user.line, message: `user ${user.name} has all rights: set user to one without, or remove it for the default` });
  return [...problems, ...triggerProblems(triggers)];
}

/** Returns the configuration. Throws E_CONFIG if a group, the user or a program causes a problem. */
export function withControlGroup(config: RssrvConfig): RssrvConfig {
  throwProblems(config.file, controlGroupProblems(config));
  return config;
}
