# shellcheck shell=bash
# What the commands that build in somebody's checkout share. Sourced, after debian.sh; they have set HERE.

# What root makes in somebody's checkout is given to that somebody in the end.
give_back() {
  local owner
  owner=$(stat -c %u:%g "$HERE")
  if [[ $owner != 0:* ]]; then
    chown -R --from=0:0 "$owner" "$HERE/node_modules" "$HERE/dist" 2>/dev/null || true
  fi
}

# build_checkout: Node, its packages and dist/ as this checkout has them; what root made is given back at the very end.
build_checkout() {
  step "checking Node (at least $NODE_FLOOR)" 'Install nodejs and npm by hand (Debian 13: apt-get install nodejs npm).'
  ensure_node
  trap give_back EXIT

  step 'installing the Node packages (npm ci)' \
    'Check that the npm registry can be reached (npm ping; proxies: npm config set proxy URL), then repeat.'
  install_node_modules "$HERE"

  cd "$HERE"
  step 'building (npm run build)' 'Mend what the compiler names above.'
  npm run --silent build
}
