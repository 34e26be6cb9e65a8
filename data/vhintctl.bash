# SPDX-License-Identifier: GPL-2.0-or-later
# Completion for vhintctl: commands and options as it tells them itself, guests and programs as the daemon does.

_vhintctl_commands()
{
    vhintctl --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'
}

_vhintctl_options() # [COMMAND]
{
    vhintctl "$@" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
}

# The values of "name" in what a command prints.
_vhintctl_names() # COMMAND...
{
    vhintctl --json "$@" 2>/dev/null | grep -o '"name" *: *"[^"]*"' | sed 's/.*"\([^"]*\)"$/\1/'
}

_vhintctl()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= guest= word i

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --socket | --name | --set | --map | --every | --count | --profile | --connect | --cpus | --program-dir | --topology | --svg | --policy | \
            --replay | --vcpus | --interval) i=$((i + 1)) ;;
        -*) ;;
        *) if [ -z "$command" ]; then command=$word; else guest=$word; fi ;;
        esac
    done
    COMPREPLY=()
    case $previous in
    --socket | --program-dir | --svg | --policy | --replay)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    case $current in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$(_vhintctl_options $command)" -- "$current")
        return
        ;;
    esac
    case $command:$guest in
    :*) mapfile -t COMPREPLY < <(compgen -W "$(_vhintctl_commands)" -- "$current") ;;
    map:* | plan:* | top:*) ;;
    record: | inject:?*)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        ;;
    eject:?*) mapfile -t COMPREPLY < <(compgen -W "$(_vhintctl_names programs "$guest")" -- "$current") ;;
    policy:) mapfile -t COMPREPLY < <(compgen -W "check show" -- "$current") ;;
    policy:check)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        ;;
    policy:show | *:) mapfile -t COMPREPLY < <(compgen -W "$(_vhintctl_names guests)" -- "$current") ;;
    esac
}

complete -F _vhintctl vhintctl
