/**
 * Events about interrupts and remapping units that QEMU 7.2 to 11.1 can log and that no handler here uses. A line of
 * one of them is ignored; a line with any other name is unknown, and reported with its line number.
 */
const families: Readonly<Record<string, string>> = {
  apic:
    "local_deliver register_read register_write report_irq_delivered reset_irq_delivered get_irq_delivered " +
    "mem_readl mem_writel",
  cpu: "get_apic_base",
  ioapic: "set_remote_irr clear_remote_irr eoi_broadcast eoi_delayed_reassert mem_read mem_write set_irq",
  kvm:
    "irqchip_commit_routes irqchip_add_msi_route irqchip_update_msi_route irqchip_release_virq " +
    "x86_fixup_msi_error x86_add_msi_route x86_remove_msi_route x86_update_msi_routes",
  msix: "write_config",
  vtd:
    "inv_desc_cc_domain inv_desc_cc_global inv_desc_cc_device inv_desc_cc_devices inv_desc_iotlb_global " +
    "inv_desc_iotlb_domain inv_desc_iotlb_pages inv_desc_iotlb_pasid_pages inv_desc_iotlb_pasid inv_desc_wait_sw " +
    "inv_desc_wait_irq inv_desc_wait_write_fail inv_qi_enable inv_qi_setup inv_qi_head inv_qi_fetch " +
    "context_cache_reset pasid_cache_reset inv_desc_pasid_cache_gsi inv_desc_pasid_cache_dsi " +
    "inv_desc_pasid_cache_psi pasid_cache_devsi re_not_present ce_not_present iotlb_page_hit iotlb_page_update " +
    "iotlb_cc_hit iotlb_cc_update iotlb_reset fault_disabled replay_ce_valid replay_ce_invalid page_walk_level " +
    "page_walk_one page_walk_one_skip_map page_walk_one_skip_unmap page_walk_skip_read page_walk_skip_reserve " +
    "switch_address_space as_unmap_whole translate_pt pt_enable_fast_path reg_read reg_dmar_root reg_write_fectl " +
    "reg_write_iectl reg_ics_clear_ip dmar_translate dmar_enable dmar_fault fsts_ppf fsts_clear_ip " +
    "warn_invalid_qi_tail device_attach_hwpt device_detach_hwpt device_reattach_def_hwpt",
  amdvi:
    "evntlog_fail cache_update completion_wait_fail mmio_read mmio_read_invalid command_error " +
    "iotlb_reset dte_get_fail " +
    "invalid_dte get_pte_hwerror mode_invalid page_fault iotlb_hit translation_result mem_ir_write",
};

export const ignoredEvents: ReadonlySet<string> = new Set(
  Object.entries(families).flatMap(([family, names]) => names.split(" ").map((name) => `${family}_${name}`)),
);
