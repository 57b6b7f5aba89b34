"""Shell completion by click's protocol, for words with `=`, `.`, `:` and `,`.

click's own scripts cannot complete `KEY=VALUE`: that for bash receives the words that bash splits
at `=` and `:`, and drops the other completions where files are one of them; that for fish cuts
values at a comma; all add a space after `train.` and `train.lr=`.
"""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

__all__ = ["SHELLS", "VARIABLE", "register"]

VARIABLE = "_FMCORE_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local type value response
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" \\
        COMP_WORDBREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                [[ $value == *[=./] ]] && compopt -o nospace ;;
        esac
    done <<< "$response"
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a whole open response
    local type key descr
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for type key descr in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $key == *[=./] ]]; then
                    open+=("$key")
                elif [[ $descr == "_" ]]; then
                    whole+=("${key//:/\\\\:}")
                else
                    whole+=("$key:$descr")
                fi ;;
        esac
    done
    (( $#whole )) && _describe -V unsorted whole -U
    (( $#open )) && compadd -U -V open -S '' -a open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


_FISH = """\
function %(complete_func)s
    for found in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
            COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
        set -l parts (string split --max 1 "," $found)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Bash(BashComplete):
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE")
        if line is None:  # a script of click's, installed by hand
            return super().get_completion_args()
        point = int(os.environ.get("COMP_POINT") or len(line))
        typed = os.fsencode(line)[:point].decode("utf-8", "replace")
        words = split_arg_string(typed)[1:]
        return (words, "") if typed[-1:].isspace() else (words[:-1], words[-1] if words else "")

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        breaks = os.environ.get("COMP_WORDBREAKS", "") if "COMP_LINE" in os.environ else ""
        cut = 1 + max((incomplete.rfind(sign) for sign in "=:" if sign in breaks), default=-1)
        found = self.get_completions(args, incomplete)
        return "\n".join(f"{item.type},{_cut(item, cut)}" for item in found)


class _Zsh(ZshComplete):
    source_template = _ZSH


class _Fish(FishComplete):
    source_template = _FISH


def _cut(item: CompletionItem, places: int) -> Any:
    """Return what bash inserts after the last character at which it split the word."""
    return item.value[places:] if item.type == "plain" else item.value


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def register() -> None:
    """Register these classes with click."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)
