// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SimpleAccountFactory} from "@account-abstraction/contracts/accounts/SimpleAccountFactory.sol";
import {IEntryPoint as IAbstractEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {AccountERC7579} from "@openzeppelin/contracts/account/extensions/draft-AccountERC7579.sol";
import {PaymasterERC20} from "@openzeppelin/contracts/account/paymaster/extensions/PaymasterERC20.sol";
import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SignerECDSA} from "@openzeppelin/contracts/utils/cryptography/signers/SignerECDSA.sol";

/// @dev What the gas benchmark measures ours against; compiled for it alone and never deployed elsewhere.
contract PeerSimpleAccountFactory is SimpleAccountFactory {
    constructor(IAbstractEntryPoint entryPoint_) SimpleAccountFactory(entryPoint_) {}
}

/// @dev OpenZeppelin's ERC-7579 account with one key, behind an ERC-1967 proxy.
contract PeerERC7579Account is AccountERC7579, SignerECDSA {
    address private immutable ENTRY_POINT;

    constructor(address entryPoint_) SignerECDSA(address(1)) {
        ENTRY_POINT = entryPoint_;
    }

    function initialize(address signer_) external {
        require(signer() == address(0), "initialised");
        _setSigner(signer_);
    }

    function entryPoint() public view override returns (IEntryPoint) {
        return IEntryPoint(ENTRY_POINT);
    }

    function _rawSignatureValidation(bytes32 hash, bytes calldata signature)
        internal
        view
        override(AccountERC7579, SignerECDSA)
        returns (bool)
    {
        return SignerECDSA._rawSignatureValidation(hash, signature);
    }
}

/// @dev OpenZeppelin's ERC-20 paymaster at a fixed price.
contract PeerPaymaster is PaymasterERC20 {
    address private immutable ENTRY_POINT;
    IERC20 private immutable TOKEN;

    constructor(address entryPoint_, IERC20 token) {
        ENTRY_POINT = entryPoint_;
        TOKEN = token;
    }

    function entryPoint() public view override returns (IEntryPoint) {
        return IEntryPoint(ENTRY_POINT);
    }

    /// @dev 3,000 tokens of 6 decimals for one native coin, scaled by 1e18.
    function _fetchDetails(PackedUserOperation calldata, bytes32)
        internal
        view
        override
        returns (uint256 validationData, IERC20 token, uint256 tokenPerNative)
    {
        return (0, TOKEN, 3_000e6);
    }
}

/// @dev A token behind a proxy, as USDC is.
contract PeerProxy is ERC1967Proxy {
    constructor(address implementation, bytes memory data) ERC1967Proxy(implementation, data) {}
}
