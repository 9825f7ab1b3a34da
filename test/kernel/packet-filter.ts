/** Whether this kernel can do what a bridge network needs: nf_tables of the family inet. */
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { addTable, deleteTable, transaction } from '../../engine/kernel/nftables.ts'

/** Made and deleted in one transaction: nobody sees it. */
function probe(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  const table = `drydock-probe-${process.pid}`
  using socket = new NetlinkSocket('NETLINK_NETFILTER')
  try {
    socket.batch(transaction([addTable(table), deleteTable(table)]))
    return false
  } catch (error) {
    if (!isErrno(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error
    return 'this kernel has no nf_tables for inet'
  }
}

/** A reason to skip, or false. */
export const noPacketFilter: string | false = probe()
