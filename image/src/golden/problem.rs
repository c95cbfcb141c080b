//! What may be wrong with a golden image, and what to do about it.

use std::fmt;

/// Something that makes clones clash, or not start. It displays as what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Files with the identity that systemd and D-Bus give a machine.
    MachineId {
        /// Their paths.
        files: Vec<&'static str>,
    },
    /// The keys by which clients of SSH know a machine.
    HostKeys {
        /// Names of files in `/etc/ssh`.
        files: Vec<String>,
    },
    /// A name that every clone would send to the DHCP server.
    HostName {
        /// The name.
        name: String,
        /// The file that has the name.
        file: String,
        /// What has it sent.
        by: String,
    },
    /// A Windows that keeps what makes it one certain machine.
    NotGeneralized {
        /// What it says of itself.
        state: String,
    },
    /// A system that sleeps: by hibernation, or by the fast start-up of Windows.
    Hibernated {
        /// What shows it.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A filesystem that was not unmounted, or has errors.
    Unclean {
        /// What shows it.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A volume that BitLocker encrypts.
    BitLocker,
    /// A volume that LUKS encrypts.
    Luks,
    /// An EFI system partition without the loader that firmware looks for.
    NoLoader {
        /// Names of loaders for other processors.
        others: Vec<String>,
    },
}

impl Problem {
    /// For scripts: what kind of problem it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MachineId { .. } => "machine-id",
            Self::HostKeys { .. } => "ssh-host-keys",
            Self::HostName { .. } => "host-name",
            Self::NotGeneralized { .. } => "not-generalized",
            Self::Hibernated { .. } => "hibernated",
            Self::Unclean { .. } => "unclean",
            Self::BitLocker => "bitlocker",
            Self::Luks => "luks",
            Self::NoLoader { .. } => "no-boot-loader",
        }
    }

    /// What to do on the reference machine.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::MachineId { files } => {
                let paths: Vec<_> = files.iter().map(|it| format!("/{it}")).collect();
                format!(
                    "empty it before imaging (truncate -s 0 {}): each clone then makes its own",
                    paths.join(" ")
                )
            }
            Self::HostKeys { .. } => {
                "delete them (rm /etc/ssh/ssh_host_*) and see that ssh-keygen \
                                      -A runs when a clone first starts: Fedora does so by itself, \
                                      Debian and Ubuntu with cloud-init or a unit of yours"
                    .to_owned()
            }
            Self::HostName { file, .. } if file == "etc/hostname" => {
                "empty /etc/hostname, so that each clone takes the name that DHCP gives it, or \
                 have it set when a clone first starts"
                    .to_owned()
            }
            Self::HostName { file, .. } => format!("take the name out of /{file}"),
            Self::NotGeneralized { .. } => "run sysprep /generalize /oobe /shutdown (in \
                                            Windows\\System32\\Sysprep) and image the disk before \
                                            it starts again"
                .to_owned(),
            Self::Hibernated { remedy, .. } | Self::Unclean { remedy, .. } => (*remedy).to_owned(),
            Self::BitLocker => "turn BitLocker off on the reference machine (manage-bde -off C:), \
                                wait until all is decrypted, and turn it on in each clone"
                .to_owned(),
            Self::Luks => {
                "image an unencrypted system and encrypt each clone, or change the key of \
                           each clone (cryptsetup reencrypt): passphrases are not enough"
                    .to_owned()
            }
            Self::NoLoader { .. } => "copy the system's loader to EFI\\BOOT\\BOOTX64.EFI: \
                                      bcdboot C:\\Windows on Windows, grub-install --removable on \
                                      Linux"
                .to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MachineId { files } => write!(
                f,
                "/{} is filled: all clones are the same machine to DHCP, journals and D-Bus",
                files.join(" and /")
            ),
            Self::HostKeys { files } => write!(
                f,
                "it has SSH host keys ({}): whoever holds one clone can pass for all others",
                files.join(", ")
            ),
            Self::HostName { name, by, .. } => write!(
                f,
                "every clone sends the host name {name} by DHCP ({by}): one takes the name from \
                 the other"
            ),
            Self::NotGeneralized { state } => write!(
                f,
                "Windows is not generalized ({state}): all clones have the same identity"
            ),
            Self::Hibernated { what, .. } => write!(
                f,
                "a hibernated system is in it ({what}): every clone wakes up as the same machine, \
                 with what it remembers of another disk"
            ),
            Self::Unclean { what, .. } => write!(f, "it is not clean: {what}"),
            Self::BitLocker => f.write_str(
                "BitLocker encrypts it: clones ask for a recovery key, as the TPM of the reference \
                 machine is missing, and share one master key",
            ),
            Self::Luks => f.write_str(
                "LUKS encrypts it: all clones share one master key, so whoever can open one can \
                 open all",
            ),
            Self::NoLoader { others } => {
                f.write_str(
                    "the EFI system partition has no EFI\\BOOT\\BOOTX64.EFI: a clone, whose firmware \
                     knows no boot entry, does not start",
                )?;
                match others.as_slice() {
                    [] => Ok(()),
                    names => write!(f, "; there is only {}", names.join(", ")),
                }
            }
        }
    }
}
