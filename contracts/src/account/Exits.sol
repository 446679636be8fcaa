// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {Parties} from "./Parties.sol";

/// @title How an account leaves custody
/// @notice An exit is announced 48 hours before and moves the account to the self-custody implementation, in one step
/// and for good. It keeps the guardian only if asked to, and only one who had been the guardian for 48 hours when the
/// exit was announced: whom a custodian appoints shortly before, or meanwhile, is gone with it.
abstract contract Exits is Parties {
    /// @notice How long what is announced waits, in seconds.
    uint256 public constant CUSTODIAN_DELAY = 48 hours;

    /// @notice An exit from custody was announced.
    /// @param newOwner Owner afterwards.
    /// @param readyAt First second at which anybody may carry it out, Unix time.
    /// @param keepsGuardian Whether the guardian stays.
    /// @param isCustomers Whether the customer's key announced it, so that nobody else can stop it.
    event ExitAnnounced(address indexed newOwner, uint256 readyAt, bool keepsGuardian, bool isCustomers);

    /// @notice An announced exit was called off.
    event ExitCancelled();

    /// @notice The account left custody: custodian, all sessions and, unless kept, the guardian are gone.
    /// @param newOwner Owner from now on.
    event Exited(address indexed newOwner);

    /// @notice The customer's exit is announced; nothing may get in its way.
    error ExitIsPending();

    /// @notice No exit is announced, or it must wait longer.
    /// @param readyAt First second at which it may be carried out, Unix time, or zero.
    error ExitNotReady(uint256 readyAt);

    /// @notice The account is not in custody.
    error NotInCustody();

    /// @notice Announces the exit from custody; for the owner and the customer. The customer's takes the place of the
    /// owner's, and then only the customer can call it off.
    /// @param newOwner Owner afterwards, a key that the customer holds.
    /// @param keepsGuardian Whether the guardian stays, who must have been it for 48 hours.
    function announceExit(address newOwner, bool keepsGuardian) external {
        bool isCustomers = msg.sender == _accountStorage().customer;
        if (!isCustomers && !_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        _announceExit(newOwner, keepsGuardian, isCustomers);
    }

    /// @notice Calls the announced exit off: the customer any, the owner its own.
    function cancelExit() external {
        AccountStorage storage stored = _accountStorage();
        if (msg.sender != stored.customer) {
            if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
            if (stored.exit.isCustomers) revert ExitIsPending();
        }
        _cancelExit();
    }

    /// @notice Carries out the announced exit, whoever calls: owner, sessions and guardian are gone in this one step.
    function exit() external {
        AccountStorage storage stored = _accountStorage();
        Exit memory announced = stored.exit;
        if (announced.newOwner == address(0) || block.timestamp < announced.readyAt) {
            revert ExitNotReady(announced.readyAt);
        }
        delete stored.exit;
        _changeOwner(announced.newOwner);
        if (!announced.keepsGuardian) _setGuardian(address(0));
        emit Exited(announced.newOwner);
        ERC1967Utils.upgradeToAndCall(SELF_CUSTODY, "");
    }

    /// @notice The announced exit; all zero if there is none.
    function announcedExit() external view returns (Exit memory) {
        return _accountStorage().exit;
    }

    function _announceExit(address newOwner, bool keepsGuardian, bool isCustomers) internal {
        AccountStorage storage stored = _accountStorage();
        if (!_isCustodial()) revert NotInCustody();
        if (newOwner == address(0)) revert OwnerIsZero();
        if (stored.exit.isCustomers && !isCustomers) revert ExitIsPending();
        // Whom the custodian appointed a moment ago the customer may not know of.
        keepsGuardian = keepsGuardian && block.timestamp >= stored.guardianSince + CUSTODIAN_DELAY;
        uint256 readyAt = block.timestamp + CUSTODIAN_DELAY;
        stored.exit = Exit(newOwner, uint40(readyAt), keepsGuardian, isCustomers);
        emit ExitAnnounced(newOwner, readyAt, keepsGuardian, isCustomers);
    }

    function _cancelExit() internal {
        delete _accountStorage().exit;
        emit ExitCancelled();
    }
}
