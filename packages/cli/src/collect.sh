#!/bin/sh
# Packs what "intremap map", "follow" and "audit" want to know of this machine into one tar archive, for a machine on
# which Node does not run. Read it before you run it as root: it reads files of /proc and /sys and the kernel log, and
# writes nothing but one new folder under ${TMPDIR:-/tmp}, which it removes, and the archive.
#
#   sh collect.sh [-o FILE] [-r FOLDER]
#     -o FILE    the archive; - is standard output (default: intremap-HOST-DATE.tar.gz here; never overwritten)
#     -r FOLDER  take proc/ and sys/ from this folder, as in a container that has the host's at /host
#
# Then, where Node runs: intremap map --from intremap-HOST-DATE.tar.gz
#
# What it takes: /proc/interrupts, cpuinfo, cmdline, version, modules, iomem, ioports; affinities below /proc/irq;
# /sys/kernel/irq; PCI functions with their configuration space, drivers and groups; IOMMUs; the ACPI tables DMAR, IVRS,
# APIC and MCFG; parameters of KVM's, VFIO's and a few more modules; debugfs iommu/ and irq/ where debugfs is mounted;
# the kernel's build configuration; the kernel log. No user's files, no memory, no device registers.

set -u
umask 077
LC_ALL=C
export LC_ALL
PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}
export PATH

fail() {
  printf 'collect: %s\n' "$*" >&2
  exit 2
}

output=
root=
while getopts o:r: option; do
  case $option in
    o) output=$OPTARG ;;
    r) root=$OPTARG ;;
    *) fail 'usage: sh collect.sh [-o FILE] [-r FOLDER]' ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail 'usage: sh collect.sh [-o FILE] [-r FOLDER]'

for tool in tar cat mkdir rm cp xargs tr sleep uname date; do
  command -v "$tool" >/dev/null 2>&1 || fail "$tool is needed and not there"
done
if [ -n "$root" ]; then
  root=$(CDPATH='' cd -P -- "$root" 2>/dev/null && pwd -P) || fail "$root: no such folder"
  [ "$root" != / ] || root=
fi
[ -d "$root/proc" ] && [ -d "$root/sys" ] || fail "${root:-/}: expected proc and sys in it"

host=$(uname -n)
name=intremap-$(printf %s "$host" | tr -c 'A-Za-z0-9.-' _)-$(date -u +%Y%m%dT%H%M%SZ)
pack=cat
if command -v gzip >/dev/null 2>&1; then
  pack='gzip -c'
fi
if [ -z "$output" ]; then
  output=$name.tar
  [ "$pack" = cat ] || output=$output.gz
fi
[ "$output" = - ] || [ ! -e "$output" ] || fail "$output: there already"

# One process that hangs on one file must not hang the rest: no file takes longer than this, where "timeout" is there,
# and no stage longer than its own limit.
limit=
if timeout 5 true 2>/dev/null; then
  limit='timeout 10'
fi

work=${TMPDIR:-/tmp}/intremap.$$
mkdir "$work" || fail "$work: cannot be made"
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
work=$(CDPATH='' cd -P -- "$work" && pwd -P) || fail "$work: cannot be entered"
here=$work/$name
mkdir "$here" || fail "$here: cannot be made"
missed=$here/not-read.txt
: >"$missed"

miss() {
  printf '%s\n' "$1" >>"$missed"
}

# copy PATH: one file, whatever it holds.
copy() {
  if [ ! -e "$root/$1" ]; then
    return 0
  elif ! $limit cat "$root/$1" >"$here/$1" 2>/dev/null; then
    miss "$1"
    rm -f "$here/$1"
  fi
}

# line PATH: a file of one line, without a process of its own.
line() {
  text=
  { IFS= read -r text <"$root/$1"; } 2>/dev/null || [ -n "$text" ] || return 0
  printf '%s\n' "$text" >"$here/$1"
}

# stage SECONDS FUNCTION: runs it, and ends it when it takes longer.
stage() {
  "$2" &
  worker=$!
  (
    left=$1
    while [ "$left" -gt 0 ]; do
      sleep 1
      left=$((left - 1))
    done
    kill -9 "$worker" 2>/dev/null && miss "$2: stopped after $1 seconds"
  ) >/dev/null 2>&1 </dev/null &
  guard=$!
  wait "$worker" 2>/dev/null
  # Not TERM: a guard that has just been forked may still have this shell's trap, and lose it.
  kill -9 "$guard" 2>/dev/null
  wait "$guard" 2>/dev/null
}

# real PATH: what it is without links, below the root; a folder.
real() {
  CDPATH='' cd -P -- "$root/$1" 2>/dev/null || return 1
  place=${PWD#"$root"/}
  [ -n "$root" ] || place=${PWD#/}
  cd "$here" || exit 1
}

kernel() {
  mkdir -p "$here/proc/sys/kernel" "$here/sys/devices/system/cpu" "$here/sys/kernel/security" "$here/boot"
  for file in interrupts cpuinfo cmdline version modules iomem ioports sys/kernel/osrelease; do
    [ -r "$root/proc/$file" ] || miss "proc/$file"
    copy "proc/$file"
  done
  for file in online present possible; do
    line "sys/devices/system/cpu/$file"
  done
  line sys/kernel/security/lockdown
  if read -r release <"$root/proc/sys/kernel/osrelease"; then
    copy "boot/config-$release"
  fi
}

parameters() {
  for module in kvm kvm_intel kvm_amd vfio vfio_pci vfio_pci_core vfio_iommu_type1 iommufd irqbypass nvme vmd pci_hyperv; do
    [ -d "$root/sys/module/$module/parameters" ] || continue
    mkdir -p "$here/sys/module/$module/parameters"
    for file in "$root/sys/module/$module/parameters"/*; do
      [ -r "$file" ] && line "sys/module/$module/parameters/${file##*/}"
    done
  done
}

interrupts() {
  for folder in proc/irq sys/kernel/irq; do
    mkdir -p "$here/$folder"
    for irq in "$root/$folder"/[0-9]*; do
      [ -d "$irq" ] && printf '%s\n' "$folder/${irq##*/}"
    done | xargs mkdir -p "$folder"
  done
  for irq in "$root"/proc/irq/[0-9]*; do
    line "proc/irq/${irq##*/}/smp_affinity_list"
    line "proc/irq/${irq##*/}/effective_affinity_list"
  done
  for irq in "$root"/sys/kernel/irq/[0-9]*; do
    for file in chip_name hwirq name type actions wakeup; do
      line "sys/kernel/irq/${irq##*/}/$file"
    done
  done
}

# keep FOLDER NAME…: those of a folder's links that are there, as links.
keep() {
  from=$1
  shift
  for link; do
    shift
    [ -L "$root/$from/$link" ] && set -- "$@" "$root/$from/$link"
  done
  [ $# -eq 0 ] || cp -P "$@" "$here/$from/" 2>/dev/null || miss "$from: links"
}

pci() {
  mkdir -p "$here/sys/bus/pci/devices"
  for device in "$root"/sys/bus/pci/devices/*; do
    [ -d "$device" ] || continue
    keep sys/bus/pci/devices "${device##*/}"
    real "sys/bus/pci/devices/${device##*/}" || continue
    path=$place
    mkdir -p "$here/$path"
    copy "$path/config"
    for file in class vendor device subsystem_vendor subsystem_device revision irq numa_node msi_bus enable; do
      line "$path/$file"
    done
    keep "$path" driver iommu iommu_group physfn
    [ -d "$root/$path/msi_irqs" ] || continue
    mkdir -p "$here/$path/msi_irqs"
    for irq in "$root/$path"/msi_irqs/*; do
      line "$path/msi_irqs/${irq##*/}"
    done
  done
  for group in "$root"/sys/kernel/iommu_groups/*; do
    [ -d "$group" ] || continue
    mkdir -p "$here/sys/kernel/iommu_groups/${group##*/}"
    line "sys/kernel/iommu_groups/${group##*/}/type"
  done
}

units() {
  mkdir -p "$here/sys/class/iommu"
  for unit in "$root"/sys/class/iommu/*; do
    [ -d "$unit" ] || continue
    keep sys/class/iommu "${unit##*/}"
    real "sys/class/iommu/${unit##*/}" || continue
    path=$place
    for kind in intel-iommu amd-iommu; do
      [ -d "$root/$path/$kind" ] || continue
      mkdir -p "$here/$path/$kind"
      for file in "$root/$path/$kind"/*; do
        line "$path/$kind/${file##*/}"
      done
    done
  done
}

firmware() {
  mkdir -p "$here/sys/firmware/acpi/tables"
  for table in DMAR IVRS APIC MCFG FACP; do
    copy "sys/firmware/acpi/tables/$table"
  done
}

# tree FOLDER: every file below it.
tree() {
  for entry in "$root/$1"/*; do
    entry=$1/${entry##*/}
    if [ -L "$root/$entry" ]; then
      continue
    elif [ -d "$root/$entry" ]; then
      mkdir -p "$here/$entry"
      (tree "$entry")
    else
      copy "$entry"
    fi
  done
}

debugfs() {
  for folder in sys/kernel/debug/iommu sys/kernel/debug/irq/domains sys/kernel/debug/irq/irqs; do
    if [ -d "$root/$folder" ]; then
      mkdir -p "$here/$folder"
      tree "$folder"
    else
      miss "$folder"
    fi
  done
}

# The log of the kernel that runs; below -r it may be another's.
log() {
  if [ -n "$root" ]; then
    mine=
    theirs=
    read -r mine </proc/version
    read -r theirs <"$root/proc/version"
    [ "$mine" = "$theirs" ] || {
      miss 'dmesg: below -r is another kernel than the one that runs'
      return
    }
  fi
  $limit dmesg >"$here/dmesg" 2>/dev/null || {
    miss dmesg
    rm -f "$here/dmesg"
  }
}

cd "$here" || fail "$here: gone"
printf 'collector 1\nhost %s\ndate %s\nuser %s\n' "$host" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  "$(id -u 2>/dev/null)" >"$here/collect.txt"
stage 60 kernel
stage 10 parameters
stage 120 interrupts
stage 300 pci
stage 30 units
stage 30 firmware
stage 300 debugfs
stage 30 log
cd "$OLDPWD" || fail 'the folder that it was started in is gone'

if [ "$output" = - ]; then
  tar -C "$work" -cf - "$name" | $pack || fail 'the archive could not be written'
else
  # With -C the shell makes a new file and follows nothing that somebody has put there meanwhile.
  (
    set -C
    tar -C "$work" -cf - "$name" | $pack >"$output"
  ) || fail "$output: could not be written"
  printf 'collect: wrote %s\n' "$output" >&2
fi
if [ -s "$missed" ]; then
  printf 'collect: not read:\n' >&2
  cat "$missed" >&2
fi
if [ "$(id -u 2>/dev/null)" != 0 ]; then
  printf 'collect: run as root it reads more: configuration space, ACPI tables, debugfs, the kernel log\n' >&2
fi
