// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {AccountProxies} from "./AccountProxies.sol";
import {OpenVPPAccount} from "./OpenVPPAccount.sol";

/// @title Factory of OpenVPP accounts
/// @notice An account's address follows from its owner and a random salt, so it is known, and can be paid, before it
/// is deployed. The owner is part of the deployed code: whoever deploys, the owner is the one in the address.
/// @dev Trusts nobody. Deploying without the owner's signature is left to the EntryPoint's sender creator, so that
/// nobody can make a pending first operation fail by deploying its account a moment earlier.
contract OpenVPPAccountFactory {
    /// @notice Implementation of new accounts.
    address public immutable IMPLEMENTATION;

    /// @notice The EntryPoint's deployer of accounts, the only caller of `createAccount` besides the owner.
    address public immutable SENDER_CREATOR;

    /// @notice An account was deployed.
    /// @param account Its address.
    /// @param owner Its first owner.
    /// @param salt Salt of its address.
    event AccountCreated(address indexed account, address indexed owner, bytes32 salt);

    /// @notice Caller is neither the EntryPoint's sender creator nor the owner.
    /// @param caller Who called.
    error NotSenderCreatorOrOwner(address caller);

    /// @param implementation Implementation of new accounts; its EntryPoint is the factory's.
    constructor(OpenVPPAccount implementation) {
        IMPLEMENTATION = address(implementation);
        SENDER_CREATOR = address(IEntryPoint(implementation.entryPoint()).senderCreator());
    }

    /// @notice Deploys an account, or returns it if it stands already.
    /// @param owner First owner of the account.
    /// @param salt Random salt of the address.
    /// @return account Address of the account.
    function createAccount(address owner, bytes32 salt) external returns (address account) {
        if (msg.sender != SENDER_CREATOR && msg.sender != owner) revert NotSenderCreatorOrOwner(msg.sender);
        return _create(owner, salt);
    }

    /// @notice Deploys an account and installs its first session; anybody may who has the owner's leave.
    /// @param owner First owner of the account.
    /// @param salt Random salt of the address.
    /// @param policy Packed session policy.
    /// @param leave The consent (32 bytes) and the owner's signature of the account's install digest of both.
    /// @return account Address of the account.
    function createAccountWithSession(address owner, bytes32 salt, bytes32[5] calldata policy, bytes calldata leave)
        external
        returns (address account)
    {
        account = _create(owner, salt);
        OpenVPPAccount(payable(account)).installSession(policy, leave);
    }

    /// @notice Address of an account, deployed or not.
    /// @param owner First owner of the account.
    /// @param salt Random salt of the address.
    function accountAddress(address owner, bytes32 salt) external view returns (address) {
        return Create2.computeAddress(salt, keccak256(AccountProxies.creationCode(IMPLEMENTATION, owner)));
    }

    function _create(address owner, bytes32 salt) private returns (address account) {
        bytes memory code = AccountProxies.creationCode(IMPLEMENTATION, owner);
        account = Create2.computeAddress(salt, keccak256(code));
        if (account.code.length != 0) return account;
        account = Create2.deploy(0, salt, code);
        emit AccountCreated(account, owner, salt);
    }
}
