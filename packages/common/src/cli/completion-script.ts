// Generates the bash completion script of a program from its command table. The script requires bash 4 or newer. Invariant: only words made
// of safe characters are passed to compgen, because compgen executes any $(...) in the words that it receives.

import { type Command, type CommandCall, type OptionSpec, type OptionSpecs, shownCall } from './command.ts';

const FRAME_OPTIONS = ['--root', '--help', '--version'];
/** Shell filter that keeps only names whose characters are permitted in configured names or volume names. */
const SAFE_WORDS = `grep -x '[A-Za-z0-9_.@/-]*'`;

/** `configFile`: path of the configuration file, which shell commands in the field `completes` use as `$config`. */
export function bashCompletion<C>(program: string, configFile: string, commands: readonly Command<C>[]): string {
  const options = Object.entries(Object.assign({}, ...commands.map((command) => command.options)) as Record<string, OptionSpec>);
  const texts = options.filter(([, { kind }]) => kind === 'text' || kind === 'list');
  const files = texts.filter(([, { value }]) => value === 'F');
  const others = texts.filter(([, { value }]) => value !== 'F');
  const hasMonitor = monitorWords(commands).length > 0;
  return `# Completion of ${program} for bash: source <(${program} completion bash)
_${program}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' options='' next='' files='' index
  local config=\${RSIO_ROOT:-}${configFile}
  local -a ask=("\${COMP_WORDS[0]}")
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      --root) ask=("\${COMP_WORDS[0]}" --root "\${COMP_WORDS[index+1]}"); config=\${COMP_WORDS[index+1]}${configFile}; ((index++)) ;;
${hasMonitor ? `      -m|--monitor) command="-m \${COMP_WORDS[index+1]}"; ((index++)) ;;\n` : ''}${modeCases(commands)}\
${branch(texts, '((index++))', 6)}\
      -*) ;;
      *) words+="\${words:+ }\${COMP_WORDS[index]}" ;;
    esac
  done
  case $prev in
${hasMonitor ? `    -m|--monitor) mapfile -t COMPREPLY < <(compgen -W '${monitorWords(commands).join(' ')}' -- "$cur"); return ;;\n` : ''}\
    --root) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
${branch(files, 'mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return', 4)}\
${branch(others, 'COMPREPLY=(); return', 4)}\
  esac
  case "\${command:-$words}" in
${commands.map(commandCase).join('\n')}
    '') options='${firstOptions(commands).join(' ')}' ;;
  esac
  if [[ -z $command && $cur != -* ]]; then
    case "$words" in
${nextCases(commands)}
    esac
  fi
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options ${FRAME_OPTIONS.join(' ')}" -- "$cur")
  elif [[ -n $files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  elif [[ -n $next ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$next" -- "$cur")
  fi
}
complete -F _${program} ${program}
`;
}

/**
 * Returns the branches of a shell `case` for options that call a command. The completion script treats `-q`, `-qvv` and `--query` as the
 * same command.
 */
function modeCases<C>(commands: readonly Command<C>[]): string {
  const cases = commands.flatMap(({ call }) =>
    call.by === 'option' ? [`      -${call.short}*|--${call.option}) command=-${call.short} ;;\n`] : [],
  );
  return cases.join('');
}

function monitorWords<C>(commands: readonly Command<C>[]): string[] {
  return commands.flatMap(({ call }) => (call.by === 'monitor' ? [call.word] : []));
}

function commandCase<C>({ call, options, completes }: Command<C>): string {
  const own = optionNames(options).join(' ');
  return `    ${pattern(call)}) options='${own}'${namesFrom(completes)} ;;`;
}

function namesFrom(completes: string | undefined): string {
  if (completes === undefined) return '';
  return completes === 'files' ? ' files=yes' : `; next=$({ ${completes}; } 2>/dev/null | ${SAFE_WORDS})`;
}

/**
 * Returns a shell pattern for the command's name. The pattern for a name that consists of words also matches the operands after the name.
 */
function pattern(call: CommandCall): string {
  return call.by === 'words' ? `'${call.words}'|'${call.words} '*` : `'${shownCall(call)}'`;
}

function optionNames(options: OptionSpecs): string[] {
  return Object.entries(options).flatMap(([name, { short }]) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
}

/** Returns a branch of a shell `case` for the options. Without options, returns no branch, because bash refuses an empty pattern. */
function branch(options: readonly (readonly [string, OptionSpec])[], action: string, indent: number): string {
  const names = options.map(([name]) => `--${name}`).join('|');
  return names === '' ? '' : `${' '.repeat(indent)}${names}) ${action} ;;\n`;
}

/**
 * Returns the options that may come first on the command line: options that call a command, and the options of the default command (-l).
 */
function firstOptions<C>(commands: readonly Command<C>[]): string[] {
  const calls = commands.flatMap(({ call }) => (call.by === 'option' ? [`-${call.short}`, `--${call.option}`] : []));
  const monitor = monitorWords(commands).length > 0 ? ['-m', '--monitor'] : [];
  return [...calls, ...monitor, ...optionNames(commands.find(({ call }) => shownCall(call) === '-l')?.options ?? {})];
}

/** Returns the branches of a shell `case` that sets `next` to the words that may come next, such as `add list remove` after `interface`. */
function nextCases<C>(commands: readonly Command<C>[]): string {
  const next = new Map<string, Set<string>>();
  for (const { call } of commands) {
    const words = call.by === 'words' ? call.words.split(' ') : [];
    words.forEach((word, index) => {
      const before = words.slice(0, index).join(' ');
      next.set(before, (next.get(before) ?? new Set()).add(word));
    });
  }
  return [...next].map(([before, words]) => `      '${before}') next='${[...words].sort().join(' ')}' ;;`).join('\n');
}
