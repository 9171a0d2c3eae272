#!/bin/sh
# Makes the passwords, keys and certificates of a secured Redis in FOLDER (default: secrets):
#
#   redis_ROLE      a password for each role: producer stt llm jobs viewer admin
#   users.acl       the ACL file of Redis: ops/deploy/redis/users.acl with hashes of the passwords
#   ca.crt ca.key   a certificate authority of your own; never copy ca.key to another machine
#   redis.crt .key  the server's certificate, for redis, localhost, 127.0.0.1 and each HOST
#   llm_api_key     the key between the LLM workers and vLLM
#   dashboard_token, grafana_password      for their pages; the user of Grafana is admin
#
#   make-secrets.sh [--folder FOLDER] [--client NAME]... [HOST]...
#
# --client NAME also makes NAME.crt and NAME.key, for servers that ask clients for a certificate.
# Files that exist are kept: delete a file to get a new one. Only users.acl and the server's
# certificate are made each time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=secrets
clients=
hosts=
while [ $# -gt 0 ]; do
  case $1 in
    --folder | --client)
      [ $# -gt 1 ] || { echo "make-secrets.sh: $1 needs a value" >&2; exit 2; }
      if [ "$1" = --folder ]; then folder=$2; else clients="$clients $2"; fi
      shift
      ;;
    -*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2; exit 2 ;;
    *) hosts="$hosts $1" ;;
  esac
  shift
done

days=3650
roles="producer stt llm jobs viewer admin"

command -v openssl >/dev/null || { echo "make-secrets.sh: openssl is missing" >&2; exit 1; }
# Only you can open the folder. Its files are readable for everybody, because Compose mounts them as
# they are, and the user in a container is not you.
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
umask 022

secret() {
  [ -s "$1" ] || openssl rand -hex 32 >"$1"
}

# Makes a certificate NAME.crt with its NAME.key, signed by our authority.
certificate() { # NAME SUBJECT EXTENSIONS
  [ -s "$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  printf '%s\n' "basicConstraints=critical,CA:FALSE" "$3" >"$1.ext"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$days" -sha256 \
    -extfile "$1.ext" -out "$1.crt" 2>/dev/null
  chmod 644 "$1.key"
  rm "$1.ext" "$1.csr"
}

for role in $roles; do
  secret "redis_$role"
done
secret llm_api_key
secret dashboard_token
secret grafana_password

if [ ! -s ca.key ]; then
  openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  rm -f ca.crt
fi
chmod 600 ca.key
[ -s ca.crt ] || openssl req -x509 -new -key ca.key -days "$days" -sha256 \
  -subj "/CN=earshot Redis" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.crt

names="DNS:redis,DNS:localhost,IP:127.0.0.1"
for host in $hosts; do
  case $host in
    *:*) names="$names,IP:$host" ;;
    *[!0-9.]*) names="$names,DNS:$host" ;;
    *) names="$names,IP:$host" ;;
  esac
done
certificate redis redis "subjectAltName=$names"
for client in $clients; do
  certificate "$client" "$client" "extendedKeyUsage=clientAuth"
done

# Removes comments, puts each user on one line, and inserts the hashes.
awk '/^#/ || NF == 0 { next }
     /^user/ { if (line) print line; line = $0; next }
     { sub(/^ +/, " "); line = line $0 }
     END { print line }' "$here/users.acl" >users.acl.new
for role in $roles; do
  hash=$(tr -d '\r\n' <"redis_$role" | openssl dgst -sha256 -r | cut -d' ' -f1)
  sed "s/@$role@/$hash/" users.acl.new >users.acl.next
  mv users.acl.next users.acl.new
done
mv users.acl.new users.acl

echo "$(pwd) is ready."
