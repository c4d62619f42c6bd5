# fish completion for headrace: put this into ~/.config/fish/completions/headrace.fish
#   headrace --completion fish > ~/.config/fish/completions/headrace.fish
function __headrace_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (headrace --complete $words[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = ":files"
        __fish_complete_path "$current"
    else
        printf '%s\n' $lines
    end
end
complete -c headrace -f -a '(__headrace_complete)'
