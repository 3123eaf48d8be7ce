import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Entry } from "./archive.ts"
import { foldersOf, type PackageFacts, packageVersion } from "./deb.ts"

/** rpm's architecture names by platform. */
export const rpmArchitectures: Record<string, string> = { "linux-x64": "x86_64", "linux-arm64": "aarch64" }

/** Returns true if this machine can build rpm packages. */
export const canBuildRpm = () => Bun.which("rpmbuild") !== null

/**
 * Builds an rpm package with rpmbuild and returns its bytes. Throws if rpmbuild fails. The output depends only on the
 * input and the version of rpmbuild.
 */
export async function rpmPackage(
  files: readonly Extract<Entry, { content: unknown }>[],
  architecture: string,
  { version, time, maintainer }: PackageFacts,
): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-rpm-"))
  try {
    const root = join(folder, "root")
    for (const { path, content, mode } of files) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), content, { mode })
    }
    writeFileSync(join(folder, "databuddy.spec"), spec(files, root, version, maintainer))
    const defines = {
      _topdir: folder,
      _rpmdir: join(folder, "out"),
      _buildhost: "reproducible",
      use_source_date_epoch_as_buildtime: "1",
      clamp_mtime_to_source_date_epoch: "1",
      // Avoids using this machine's package database.
      _dbpath: join(folder, "db"),
      _binary_payload: "w6.gzdio",
      _build_id_links: "none",
    }
    const flags = Object.entries(defines).flatMap(([name, value]) => ["--define", `${name} ${value}`])
    const command = ["rpmbuild", "-bb", "--target", `${architecture}-linux`, ...flags, "databuddy.spec"]
    const build = Bun.spawn(command, {
      cwd: folder,
      env: { ...process.env, SOURCE_DATE_EPOCH: String(time), LC_ALL: "C" },
      stdout: "ignore",
      stderr: "pipe",
    })
    const errors = await new Response(build.stderr).text()
    if ((await build.exited) !== 0) throw new Error(`rpmbuild failed: ${errors}`)
    const out = join(folder, "out", architecture)
    const [name] = readdirSync(out)
    if (!name) throw new Error("rpmbuild wrote no package")
    return await Bun.file(join(out, name)).bytes()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function spec(
  files: readonly { path: string; mode: number }[],
  root: string,
  version: string,
  maintainer: string,
): string {
  const list = files.map(({ path, mode }) => {
    const kind = path.startsWith("etc/") ? "%config(noreplace) " : ""
    return `${kind}%attr(0${mode.toString(8)}, root, root) /${path}`
  })
  // Folders that this package must own, because on some systems no other package owns them.
  const folders = foldersOf(files)
    .filter(({ path }) => /\/databuddy$|^usr\/share\/(?:bash-completion|zsh|fish)/.test(path))
    .map(({ path }) => `%dir /${path}`)
  return `Name: databuddy
Version: ${packageVersion(version)}
Release: 1
Summary: Self-hosted web and product analytics
License: MIT
Packager: ${maintainer}
Requires: libstdc++
Requires(pre): shadow-utils
AutoReqProv: no
# The program is appended to the runtime's executable; strip would remove it.
%global debug_package %{nil}
%global __os_install_post %{nil}

%description
Stores page views and custom events in one SQLite file before it answers, and
shows them on a dashboard. One process, no other services and no telemetry.

%install
mkdir -p %{buildroot}
cp -a ${root}/. %{buildroot}/

%pre
getent group databuddy >/dev/null || groupadd --system databuddy
getent passwd databuddy >/dev/null || useradd --system --gid databuddy --home-dir /var/lib/databuddy --no-create-home --shell /usr/sbin/nologin --comment "Databuddy analytics server" databuddy

%post
if [ ! -d /var/lib/databuddy ]; then
  install -d -o databuddy -g databuddy -m 0700 /var/lib/databuddy
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  # The first installation enables and starts the service.
  if [ "$1" -eq 1 ]; then systemctl enable --now databuddy.service || :; fi
elif [ "$1" -eq 1 ] && command -v systemctl >/dev/null; then
  systemctl enable databuddy.service || :
fi

%preun
if [ "$1" -eq 0 ] && command -v systemctl >/dev/null; then
  if [ -d /run/systemd/system ]; then systemctl disable --now databuddy.service || :; else systemctl disable databuddy.service || :; fi
fi

%postun
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  if [ "$1" -ge 1 ]; then systemctl try-restart databuddy.service || :; fi
fi
if [ "$1" -eq 0 ]; then
  # If the folder contains data, keep it and the user that owns it.
  rmdir /var/lib/databuddy 2>/dev/null || :
  if [ ! -d /var/lib/databuddy ]; then
    userdel databuddy 2>/dev/null || :
    groupdel databuddy 2>/dev/null || :
  fi
fi

%files
${folders.join("\n")}
${list.join("\n")}
`
}
