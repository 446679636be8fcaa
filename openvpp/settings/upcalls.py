"""Who is called upward, and which function does which job: dotted paths, checked at start."""

# Called in the transaction of whoever calls (openvpp.core.upcalls.call).
UPCALLS: dict[str, list[str]] = {
    # relayer -> wallets: kwargs `user_operation_hash`, `state`, `detail`, `now`.
    "user_operation.changed": ["wallets.usecases.follow_operation.follow"],
    # relayer -> wallets: kwargs `utility_id`, `key`, `title`, `body`, `now`.
    "relayer.staff_told": ["wallets.usecases.tell_gas.on_staff_told"],
    # wallets -> the app that asked: kwargs `outcome` (wallets.domain.outcome.Outcome), `now`.
    "operation.billing.payment": ["billing.usecases.finish_payment.finish"],
    "operation.programs.payout": ["programs.usecases.finish_payouts.finish"],
    "operation.wallets.revoke_session": ["wallets.usecases.revoke_session_key.finish"],
    "operation.wallets.announce_exit": ["wallets.usecases.follow_exit.on_announced"],
    "operation.wallets.cancel_exit": ["wallets.usecases.follow_exit.on_cancelled"],
    "operation.wallets.exit": ["wallets.usecases.follow_exit.on_exited"],
    "operation.wallets.appoint_guardian": ["wallets.usecases.keep_guardian.on_appointed"],
    "operation.wallets.schedule_recovery": ["wallets.usecases.follow_recovery.on_scheduled"],
    "operation.wallets.cancel_recovery": ["wallets.usecases.follow_recovery.on_cancelled"],
    "operation.wallets.recover": ["wallets.usecases.follow_recovery.on_recovered"],
    "operation.wallets.announce_owner": ["wallets.usecases.rotate_owner_key.on_announced"],
    "operation.wallets.change_owner": ["wallets.usecases.rotate_owner_key.on_changed"],
    "operation.wallets.send_balance": ["wallets.usecases.close_account.on_sent"],
    # controls -> wallets: kwargs `change_id`, `now`.
    "controls.treasury_changed": ["wallets.usecases.follow_treasury.on_treasury_changed"],
    # customers -> wallets: kwargs `user_id`, `now`.
    "customers.access_ended": ["wallets.usecases.revoke_session_key.on_access_ended"],
    # customers -> wallets: kwargs `sign_in_id`, `now`.
    "customers.sign_in_ended": ["wallets.usecases.revoke_session_key.on_sign_in_ended"],
    # customers -> wallets: kwargs `customer_id`, `account_id`, `now`.
    "customers.account_claimed": ["wallets.usecases.welcome_customer.on_account_claimed"],
    # wallets -> sharing: what a person allowed on the consent page, see `allow`; and `authorization_id`, `now`.
    "wallets.data_access_allowed": ["sharing.usecases.share_data.allow"],
    "wallets.data_access_given_back": ["sharing.usecases.share_data.on_tokens_revoked"],
    # meters -> sharing: kwargs `service_point_ids`, `now`.
    "meters.readings_stored": ["sharing.usecases.notify_third_parties.on_readings_stored"],
    # ders -> programs: kwargs `command_id`, `state`, `now`.
    "ders.command_changed": ["programs.usecases.dispatch_event.note_command"],
    # ders -> programs: kwargs `device_id`, `now`.
    "ders.device_removed": ["programs.usecases.enroll.forget_device"],
}

# Run by openvpp.core.jobs: kwargs are the job's JSON arguments and `now`.
JOBS: dict[str, str] = {
    "custody.apply_change": "custody.operations.apply_change",
    "wallets.open_wallet": "wallets.operations.open_wallet",
    "wallets.revoke_session": "wallets.usecases.revoke_session_key.start",
    "wallets.compare_grants": "wallets.usecases.compare_grants.compare",
    "wallets.ask_exit": "wallets.usecases.leave_custody.ask_for_customer",
    "wallets.announce_exit": "wallets.usecases.leave_custody.announce",
    "wallets.schedule_recovery": "wallets.usecases.recover_wallet.schedule",
    "wallets.recover": "wallets.usecases.recover_wallet.carry_out",
    "wallets.carry_out_exit": "wallets.usecases.leave_custody.carry_out",
    "wallets.announce_owner": "wallets.usecases.rotate_owner_key.announce",
    "wallets.follow_treasury": "wallets.usecases.follow_treasury.follow",
    "wallets.close_account": "wallets.usecases.close_account.carry_out",
    "wallets.renew_leaves": "wallets.usecases.rotate_owner_key.renew_leaves",
    "wallets.change_owner": "wallets.usecases.rotate_owner_key.carry_out",
    "billing.issue_drafts": "billing.usecases.issue_drafts.issue_drafts",
    "sharing.notify": "sharing.usecases.notify_third_parties.notify",
    "meters.import_file": "meters.usecases.import_file.run",
    "ders.register_device": "ders.usecases.add_device.register",
    "ders.deliver_command": "ders.usecases.deliver_command.deliver",
    "ders.expire_command": "ders.usecases.deliver_command.expire",
    "programs.pay_held": "programs.usecases.pay_held.start",
    "programs.advance_event": "programs.usecases.dispatch_event.advance",
}

# What is changed under four eyes: kind of change -> module that reads, requires and writes it
# (controls.usecases.decide_change.Handler).
CHANGES: dict[str, str] = {
    "utility_terms": "controls.usecases.change_utility_terms",
    "accepted_token": "controls.usecases.change_accepted_token",
    "spending_policy": "controls.usecases.change_spending_policy",
    "lift_freeze": "controls.usecases.change_freeze",
    "screening": "controls.usecases.change_screening",
    "treasury_caps": "custody.usecases.change_treasury_caps",
    "custody_exit": "wallets.usecases.change_custody_exit",
    "recover_wallet": "wallets.usecases.change_recovery",
    "owner_key": "wallets.usecases.change_owner_key",
    "release_payout": "programs.usecases.change_hold",
    "sponsorship": "relayer.usecases.change_sponsorship",
    "program_treasury": "programs.usecases.change_treasury",
}

# What may stand against the closing of a customer's account: each is asked with `customer_id` and answers with a list
# of `customers.domain.closings.Obstacle`.
CLOSING_CHECKS: list[str] = [
    "billing.usecases.check_closing.find_open_bills",
    "programs.usecases.check_closing.find_open_programs",
]

# wallets -> billing: pays a bill because a wallet was asked for a call (EIP-5792). Kwargs `user`, `grant`, `units`,
# `bill_id` (may be None), `now`; answers with the `wallets.models.Operation`.
PAYMENT_BY_CALL: str = "billing.usecases.pay_call.start"
