#compdef headrace
# zsh completion for headrace: add this to ~/.zshrc, after compinit
#   eval "$(headrace --completion zsh)"
_headrace() {
    local line
    local -a described
    for line in "${(@f)$("${words[1]}" --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == ":files" ]]; then
            _files
            return
        fi
        [[ -n $line ]] && described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe 'headrace' described
}
compdef _headrace headrace
